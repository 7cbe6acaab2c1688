#include "tests/support/pseudo_terminal.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace llamajit::test {

PseudoTerminal::PseudoTerminal(std::vector<std::string> arguments,
                               const std::vector<std::pair<std::string, std::string>>& environment) {
  arguments.insert(arguments.begin(), LLAMAJIT_PROGRAM);
  winsize size{24, 80, 0, 0};
  pid_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (pid_ < 0) throw std::runtime_error("forkpty failed");
  if (pid_ == 0) {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  fcntl(fd_, F_SETFL, O_NONBLOCK);
}

PseudoTerminal::~PseudoTerminal() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);
}

// False at the end, and when nothing came in time.
bool PseudoTerminal::read_some(int limit_ms) {
  pollfd fd{fd_, POLLIN, 0};
  if (poll(&fd, 1, limit_ms) <= 0) return false;
  std::array<char, 1 << 16> buffer;
  const ssize_t n = read(fd_, buffer.data(), buffer.size());
  if (n <= 0) return false;
  screen_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

void PseudoTerminal::type(const std::string& keys) {
  for (std::size_t at = 0; at < keys.size();) {
    // It has no room for more until the program has read some, which may wait for what it writes to be read.
    pollfd fd{fd_, POLLIN | POLLOUT, 0};
    if (poll(&fd, 1, 20000) <= 0) throw std::runtime_error("the program reads no more");
    if ((fd.revents & POLLIN) != 0 && !read_some(0)) throw std::runtime_error("the program has ended");
    if ((fd.revents & POLLOUT) == 0) continue;
    const ssize_t n = write(fd_, keys.data() + at, std::min<std::size_t>(keys.size() - at, 1024));
    if (n > 0) at += static_cast<std::size_t>(n);
  }
}

void PseudoTerminal::resize(int lines, int characters) {
  winsize size{static_cast<unsigned short>(lines), static_cast<unsigned short>(characters), 0, 0};
  ioctl(fd_, TIOCSWINSZ, &size);
}

bool PseudoTerminal::wait_for(const std::string& text, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const std::size_t found = screen_.find(text, seen_);
    if (found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (std::chrono::steady_clock::now() > deadline) return false;
    if (!read_some(1000) && kill(pid_, 0) != 0) return false;
  }
}

int PseudoTerminal::finish() {
  while (read_some(30000)) {
  }
  int status = 0;
  for (int i = 0; i < 300; ++i) {
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    usleep(100000);
  }
  return -1;
}

}  // namespace llamajit::test
