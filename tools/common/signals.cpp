#include "tools/common/signals.h"

#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

namespace llamajit::cli {
namespace {

std::atomic<bool> interrupt_came{false};
std::atomic<bool> resize_came{false};
std::array<int, 2> wake{-1, -1};

void on_signal(int signal) {
  const int before = errno;
  (signal == SIGINT ? interrupt_came : resize_came) = true;
  // Full means that there is something to read already.
  [[maybe_unused]] const ssize_t n = write(wake[1], "", 1);
  errno = before;
}

}  // namespace

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

Signals::Signals() {
  if (pipe2(wake.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("cannot make a pipe");
  interrupt_came = false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  // Restarting, so that a write that waits for a slow reader is not taken for a failed one.
  action.sa_flags = SA_RESTART;
  const bool ignored = is_ignored(SIGINT);
  sigaction(SIGINT, ignored ? nullptr : &action, &interrupt_before_);
  sigaction(SIGWINCH, &action, &resize_before_);
}

Signals::~Signals() {
  sigaction(SIGINT, &interrupt_before_, nullptr);
  sigaction(SIGWINCH, &resize_before_, nullptr);
  for (int& fd : wake) {
    close(fd);
    fd = -1;
  }
}

// Handlers can only reach what is static, but it holds while a Signals lives.
// NOLINTBEGIN(readability-convert-member-functions-to-static)

int Signals::fd() const {
  return wake[0];
}

void Signals::drain() const {
  std::array<char, 64> bytes{};
  while (read(wake[0], bytes.data(), bytes.size()) > 0) {
  }
}

bool Signals::take_interrupt() {
  drain();
  return interrupt_came.exchange(false);
}

bool Signals::take_resize() {
  return resize_came.exchange(false);
}

const std::atomic<bool>& Signals::interrupted() const {
  return interrupt_came;
}

// NOLINTEND(readability-convert-member-functions-to-static)

}  // namespace llamajit::cli
