#include "tools/sandbox/all_threads.h"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

namespace llamajit::sandbox {
namespace {

constexpr std::chrono::seconds kPatience{2};

// Handlers reach only what is static.
std::atomic<bool (*)(int)> to_do{nullptr};
std::atomic<int> with{0};
std::atomic<int> answers{0};
std::atomic<bool> all_did{true};

void on_signal(int) {
  const int before = errno;
  if (!to_do.load()(with)) all_did = false;
  ++answers;
  errno = before;
}

std::vector<pid_t> other_threads() {
  std::vector<pid_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const std::string name = entry.path().filename();
    pid_t id = 0;
    std::from_chars(name.data(), name.data() + name.size(), id);
    if (id != gettid()) ids.push_back(id);
  }
  return ids;
}

bool answered(int asked) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (answers < asked) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

}  // namespace

bool on_other_threads(bool (*act)(int argument), int argument) {
  to_do = act;
  with = argument;
  answers = 0;
  all_did = true;
  const int signal = SIGRTMAX - 3;  // that nobody uses
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  if (sigaction(signal, &action, &before) != 0) return false;
  int asked = 0;
  bool reached = true;
  try {
    for (const pid_t id : other_threads()) {
      const bool sent = syscall(SYS_tgkill, getpid(), id, signal) == 0;
      reached = reached && sent;
      asked += sent ? 1 : 0;
    }
  } catch (const std::filesystem::filesystem_error&) {  // no /proc
    reached = false;
  }
  reached = answered(asked) && reached;
  // One that has not answered may yet: then the handler has to be there.
  if (reached) sigaction(signal, &before, nullptr);
  return reached && all_did;
}

}  // namespace llamajit::sandbox
