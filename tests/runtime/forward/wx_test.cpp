// Memory is never writable and executable at once, and nothing here needs it to be.
#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

namespace llamajit::wx_test {
namespace {

// Lines of the memory map that are both; `executable` counts those that are at least that.
std::vector<std::string> writable_and_executable(int* executable = nullptr) {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::string> found;
  for (std::string line; std::getline(maps, line);) {
    const std::string rights = line.substr(line.find(' ') + 1, 4);
    if (rights[2] != 'x') continue;
    if (executable != nullptr) ++*executable;
    if (rights[1] == 'w') found.push_back(line);
  }
  return found;
}

std::string small_model() {
  return write_v2(test::random_weights(test::toy_config(64, 96, 1, 4, 2, 64, 32, true), 1), 32);
}

void live(const ModelFile& file) {
  Engine engine(file, {{jit::host_tiers().back()}, 2, 0});
  for (int pos = 0; pos < 4; ++pos) engine.feed(pos, pos, true);
}

TEST(WriteXorExecute, HoldsThroughAnEnginesWholeLife) {
  const test::TempFile temp(small_model());
  const ModelFile file = read_llama2c(temp.path());
  std::atomic<bool> done{false};
  std::vector<std::string> found;
  int looks = 0;
  std::thread watcher([&] {
    while (!done || looks < 5) {
      const std::vector<std::string> lines = writable_and_executable();
      found.insert(found.end(), lines.begin(), lines.end());
      ++looks;
    }
  });
  for (int i = 0; i < 40; ++i) live(file);
  done = true;
  watcher.join();
  EXPECT_TRUE(found.empty()) << found.front();
}

TEST(WriteXorExecute, TheCodeIsThereAndExecutable) {
  if (jit::host_tiers().size() < 2) GTEST_SKIP() << "this CPU has the scalar tier only";
  const test::TempFile temp(small_model());
  const ModelFile file = read_llama2c(temp.path());
  int before = 0;
  int with = 0;
  writable_and_executable(&before);
  Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
  writable_and_executable(&with);
  EXPECT_EQ(with, before + 1);
}

// In a child that the kernel forbids to make memory executable that was not so from the start.
int live_without_execution_gain() {
  if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0) return 99;
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) return 98;  // not in force
  const test::TempFile temp(small_model());
  const ModelFile file = read_llama2c(temp.path());
  live(file);
  return 0;
}

TEST(WriteXorExecute, EnginesLiveUnderTheKernelsRefusal) {
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    int code = 97;
    try {
      code = live_without_execution_gain();
    } catch (const std::exception&) {
    }
    _exit(code);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == 99) GTEST_SKIP() << "this kernel has no PR_SET_MDWE";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace llamajit::wx_test
