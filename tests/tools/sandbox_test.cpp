// Each forbidden thing, tried from inside: in a child that closes the sandbox and then tries it.
#include "tools/sandbox/sandbox.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace llamajit::test::sandbox_test {
namespace {

namespace fs = std::filesystem;
using sandbox::Needs;

constexpr int kDone = 0, kNotHeld = 98;

// What a child came to: what `inside` returned, kNotHeld where this system could not hold it, or minus a signal.
int in_sandbox(const Needs& needs, const std::function<int()>& inside) {
  const pid_t child = fork();
  if (child == 0) {
    const sandbox::Report report = sandbox::close(needs);
    for (const std::string& missing : report.missing) fmt::print(stderr, "not held: {}\n", missing);
    std::fflush(stderr);
    _exit(report.missing.empty() ? inside() : kNotHeld);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// The error of a call that failed; 0 where it did not.
int error_of(long result) {
  return result < 0 ? errno : 0;
}

class Sandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* const why = sandbox::reason_against(); *why != '\0') GTEST_SKIP() << why;
    if (in_sandbox({}, [] { return kDone; }) == kNotHeld) GTEST_SKIP() << "this system has not all of it";
    std::string name = fs::temp_directory_path() / "sandbox-XXXXXX";
    folder_ = mkdtemp(name.data());
    std::ofstream(folder_ + "/there") << "text";
    fs::create_directory(folder_ + "/other");
    std::ofstream(folder_ + "/other/there") << "text";
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  std::string folder_;
};

void expect_refused(const Needs& needs, int error, const std::function<long()>& call) {
  EXPECT_EQ(in_sandbox(needs, [&] { return error_of(call()); }), error);
}
void expect_killed(const std::function<long()>& call) {
  EXPECT_EQ(in_sandbox({},
                       [&] {
                         call();
                         return kDone;
                       }),
            -SIGSYS);
}

TEST_F(Sandbox, ComputesOn) {
  EXPECT_EQ(in_sandbox({},
                       [] {
                         std::vector<char> memory(1 << 24, 'x');  // from new pages
                         std::atomic<int> sum{0};
                         std::vector<std::thread> threads;
                         for (int i = 0; i < 4; ++i) threads.emplace_back([&] { sum += memory[5]; });
                         for (std::thread& thread : threads) thread.join();
                         return sum == 4 * 'x' ? kDone : 1;
                       }),
            kDone);
}

TEST_F(Sandbox, OpensNoFiles) {
  const std::string there = folder_ + "/there", fresh = folder_ + "/new";
  expect_refused({}, EACCES, [&] { return open(there.c_str(), O_RDONLY); });
  expect_refused({}, EACCES, [&] { return open(there.c_str(), O_WRONLY); });
  expect_refused({}, EACCES, [&] { return open(fresh.c_str(), O_WRONLY | O_CREAT, 0600); });
  expect_refused({}, EACCES, [&] { return open("/proc/self/mem", O_RDWR); });
  expect_refused({}, EPERM, [&] { return unlink(there.c_str()); });
  expect_refused({}, EPERM, [&] { return rename(there.c_str(), fresh.c_str()); });
  expect_refused({}, EPERM, [&] { return mkdir(fresh.c_str(), 0700); });
  expect_refused({}, EPERM, [&] { return chmod(there.c_str(), 0777); });
  expect_refused({}, EPERM, [&] { return symlink("/", fresh.c_str()); });
  expect_refused({}, EPERM, [&] { return truncate(there.c_str(), 0); });
  EXPECT_EQ(fs::file_size(there), 4U);
}

TEST_F(Sandbox, UsesFilesOfItsFoldersAlone) {
  const std::string mine = folder_ + "/other", there = folder_ + "/there";
  const Needs needs{.folders = {mine}};
  EXPECT_EQ(in_sandbox(needs,
                       [&] {
                         // As a file is replaced.
                         const int fd = open(mine.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
                         if (fd < 0 || write(fd, "new", 3) != 3 || fsync(fd) != 0) return 1;
                         const std::string name = fmt::format("/proc/self/fd/{}", fd), next = mine + "/next";
                         if (linkat(AT_FDCWD, name.c_str(), AT_FDCWD, next.c_str(), AT_SYMLINK_FOLLOW) != 0)
                           return 2;
                         if (rename(next.c_str(), (mine + "/there").c_str()) != 0) return 3;
                         char text[8] = {};
                         const int again = open((mine + "/there").c_str(), O_RDONLY);
                         return read(again, text, sizeof text) == 3 && unlink((mine + "/there").c_str()) == 0
                                    ? kDone
                                    : 4;
                       }),
            kDone);
  expect_refused(needs, EACCES, [&] { return open(there.c_str(), O_RDONLY); });
  expect_refused(needs, EACCES, [&] { return open((folder_ + "/new").c_str(), O_WRONLY | O_CREAT, 0600); });
  expect_refused(needs, EACCES, [&] { return open("/etc/passwd", O_RDONLY); });
  expect_refused(needs, EACCES, [&] { return open("/proc/self/mem", O_RDWR); });
  expect_refused(needs, EACCES, [&] { return unlink(there.c_str()); });
  expect_refused(needs, EACCES, [&] {
    return link(there.c_str(), (mine + "/link").c_str()) == 0 ? open((mine + "/link").c_str(), O_RDONLY)
                                                              : (errno = EACCES, -1);
  });
  expect_refused(needs, EPERM, [&] { return symlink(there.c_str(), (mine + "/link").c_str()); });
}

TEST_F(Sandbox, NamesAFolderThatIsNone) {
  const std::string none = folder_ + "/none";
  try {
    sandbox::close({.folders = {none}});
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), none + ": No such file or directory");
  }
}

TEST_F(Sandbox, StartsNoProcesses) {
  expect_killed([] { return execl("/bin/true", "true", nullptr); });
  expect_killed([] { return syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); });
  expect_killed([] { return syscall(SYS_fork); });
  expect_killed([] { return syscall(SYS_vfork); });
  expect_killed([] { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); });
  expect_killed([] { return ptrace(PTRACE_TRACEME, 0, 0, 0); });
  clone_args args{};
  args.exit_signal = SIGCHLD;
  expect_refused({}, ENOSYS, [&] { return syscall(SYS_clone3, &args, sizeof args); });
}

TEST_F(Sandbox, MakesNoCode) {
  constexpr std::size_t kPage = 4096;
  expect_killed([] {
    return mmap(nullptr, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
  });
  void* const page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect_killed([&] { return mprotect(page, kPage, PROT_READ | PROT_EXEC); });
  expect_killed([&] { return syscall(SYS_pkey_mprotect, page, kPage, PROT_READ | PROT_EXEC, -1); });
  munmap(page, kPage);
  expect_refused({}, EPERM, [] { return memfd_create("code", 0); });
  expect_refused({}, EPERM, [] { return syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */); });
  // Shared pages, as those of the kernels, are not mapped a second time, where they could be written.
  void* const shared = mmap(nullptr, kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  expect_refused({}, EPERM, [&] { return mremap(shared, 0, kPage, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0; });
  munmap(shared, kPage);
  // What is code already stays so, and can't be written.
  EXPECT_EQ(in_sandbox({},
                       [] {
                         *reinterpret_cast<volatile char*>(reinterpret_cast<std::uintptr_t>(&getpid)) = 0;
                         return kDone;
                       }),
            -SIGSEGV);
}

TEST_F(Sandbox, HasNoNetwork) {
  const Needs serving{.folders = {}, .serves = true};
  for (const Needs& needs : {Needs{}, serving}) {
    for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
      expect_refused(needs, EPERM, [&] { return socket(family, SOCK_STREAM, 0); });
    }
  }
  const int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(bound, at, size), 0);
  ASSERT_EQ(listen(bound, 1), 0);
  ASSERT_EQ(getsockname(bound, at, &size), 0);
  expect_refused(serving, EPERM, [&] { return connect(other, at, size); });
  expect_refused(serving, EPERM, [&] { return sendto(other, "x", 1, 0, at, size); });
  expect_refused({}, EPERM, [&] { return accept4(bound, nullptr, nullptr, 0); });
  // Nor does a message open a connection, and no option reaches further than one.
  msghdr message{};
  expect_refused(serving, EPERM, [&] { return sendmsg(other, &message, MSG_FASTOPEN); });
  expect_refused(serving, EPERM, [&] { return send(other, "x", 1, MSG_FASTOPEN); });
  const int on = 1;
  expect_refused(serving, EPERM, [&] { return setsockopt(bound, SOL_IP, IP_TTL, &on, sizeof on); });

  // Connections that come are answered.
  const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(client, at, size), 0);
  EXPECT_EQ(in_sandbox(serving,
                       [&] {
                         const int one = accept4(bound, nullptr, nullptr, SOCK_CLOEXEC);
                         return one >= 0 && send(one, "hello", 5, MSG_NOSIGNAL) == 5 ? kDone : 1;
                       }),
            kDone);
  char text[8] = {};
  EXPECT_EQ(read(client, text, sizeof text), 5);
  for (const int fd : {bound, other, client}) ::close(fd);
}

TEST_F(Sandbox, ReachesNoOtherProcess) {
  const pid_t parent = getpid();
  expect_refused({}, EPERM, [&] { return kill(parent, 0); });
  expect_refused({}, EPERM, [&] { return syscall(SYS_tgkill, parent, parent, 0); });
  cpu_set_t cpus;
  ASSERT_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  expect_refused({}, EPERM, [&] { return sched_setaffinity(parent, sizeof cpus, &cpus); });
  expect_refused({}, EPERM, [&] { return syscall(SYS_pidfd_open, parent, 0); });
  expect_refused({}, EPERM, [&] { return ioctl(STDIN_FILENO, TIOCSTI, "x"); });
  expect_refused({}, EPERM, [&] { return prctl(PR_SET_DUMPABLE, 0); });
  expect_refused({}, EPERM, [&] { return syscall(SYS_io_uring_setup, 1, nullptr); });
  expect_refused({}, EPERM, [&] { return syscall(SYS_bpf, 0, nullptr, 0); });
}

// Threads that were there before it, and what they start.
TEST_F(Sandbox, HoldsAllThreads) {
  const std::string there = folder_ + "/there";
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<bool> closed{false};
    std::atomic<int> opened{0}, held{0};
    const auto try_it = [&] {
      opened += open(there.c_str(), O_RDONLY) >= 0 ? 1 : 0;
      std::thread([&] { opened += open(there.c_str(), O_RDONLY) >= 0 ? 1 : 0; }).join();
      ++held;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        closed.wait(false);
        try_it();
      });
    }
    // Files of a folder can be used, so that Landlock alone refuses the others.
    sandbox::close({.folders = {folder_ + "/other"}});
    closed = true;
    closed.notify_all();
    for (std::thread& thread : threads) thread.join();
    _exit(opened == 0 && held == 3 ? kDone : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kDone) << status;
}

}  // namespace
}  // namespace llamajit::test::sandbox_test
