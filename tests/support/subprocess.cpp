#include "tests/support/subprocess.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace llamajit::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + " for a child process failed");
}

// A file in memory that holds the input, to be read from its start.
int input_file(const std::string& input) {
  const int fd = memfd_create("input", MFD_CLOEXEC);
  if (fd < 0) fail("memfd_create");
  for (std::size_t at = 0; at < input.size();) {
    const ssize_t n = write(fd, input.data() + at, input.size() - at);
    if (n < 0) fail("write");
    at += static_cast<std::size_t>(n);
  }
  lseek(fd, 0, SEEK_SET);
  return fd;
}

std::array<int, 2> channel(bool packets) {
  std::array<int, 2> ends{};
  const int failed = packets ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data())
                             : pipe2(ends.data(), O_CLOEXEC);
  if (failed != 0) fail("pipe");
  return ends;
}

[[noreturn]] void become(const std::vector<std::string>& command, const ChildOptions& options, int in,
                         int out, int err) {
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(127);
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  std::signal(SIGINT, SIG_DFL);  // a script's background jobs ignore it
  if (options.before_exec && !options.before_exec()) _exit(kRefused);
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const ChildOptions& options)
    : packets_(options.packets), deadline_(Clock::now() + options.limit) {
  const int in = input_file(options.input);
  std::array<int, 2> out = channel(options.packets);
  const std::array<int, 2> err = channel(false);
  if (!options.output_path.empty()) {
    close(out[1]);
    out[1] = open(options.output_path.c_str(), O_WRONLY | O_CLOEXEC);
    if (out[1] < 0) fail("open");
  }
  pid_ = fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) become(command, options, in, out[1], err[1]);
  close(in);
  close(out[1]);
  close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

Child::~Child() {
  close_out();
  if (err_ >= 0) close(err_);
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Child::close_out() {
  if (out_ >= 0) close(out_);
  out_ = -1;
}

void Child::read_out(std::size_t bytes) {
  while (out_ >= 0 && result_.out.size() < bytes && pump()) {
  }
}

int Child::poll_ms() const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void Child::drain(int& fd, std::string& to, bool packets) {
  std::array<char, 1 << 16> buffer;
  const ssize_t n = read(fd, buffer.data(), buffer.size());
  if (n <= 0) {
    close(fd);
    fd = -1;
    return;
  }
  to.append(buffer.data(), static_cast<std::size_t>(n));
  if (packets) result_.writes.emplace_back(buffer.data(), static_cast<std::size_t>(n));
}

// Waits for output and takes it; false when time is out, and then the child is gone too.
bool Child::pump() {
  std::array<pollfd, 2> fds{{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};  // poll skips negative ones
  if (poll(fds.data(), fds.size(), poll_ms()) <= 0) {
    result_.timed_out = true;
    kill(pid_, SIGKILL);
    return false;
  }
  if (fds[0].revents != 0) drain(out_, result_.out, packets_);
  if (fds[1].revents != 0) drain(err_, result_.err, false);
  return true;
}

ChildResult Child::finish() {
  while ((out_ >= 0 || err_ >= 0) && pump()) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFEXITED(status)) result_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  return result_;
}

ChildResult run_child(const std::vector<std::string>& command, const ChildOptions& options) {
  return Child(command, options).finish();
}

ChildResult run_program(std::vector<std::string> arguments, const ChildOptions& options) {
  arguments.insert(arguments.begin(), LLAMAJIT_PROGRAM);
  return run_child(arguments, options);
}

}  // namespace llamajit::test
