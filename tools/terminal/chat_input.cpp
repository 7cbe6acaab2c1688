#include "tools/terminal/chat_input.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace llamajit::cli {
namespace {

class LineReader : public ChatInput {
 public:
  explicit LineReader(Signals& signals) : bytes_(STDIN_FILENO, signals) {}

  InputLine read(bool) override {
    std::string line;
    for (;;) {
      const std::string_view pending = bytes_.pending();
      const std::size_t newline = pending.find('\n');
      line += pending.substr(0, newline);
      bytes_.take(newline == std::string_view::npos ? pending.size() : newline + 1);
      if (newline != std::string_view::npos) return {InputLine::Kind::text, without_return(std::move(line))};
      switch (bytes_.wait()) {
        case InputBytes::Event::end:
          if (line.empty()) return {InputLine::Kind::end};
          return {InputLine::Kind::text, without_return(std::move(line))};
        case InputBytes::Event::interrupt:
          return {InputLine::Kind::interrupt};
        default:
          break;
      }
    }
  }

 private:
  static std::string without_return(std::string line) {
    if (line.ends_with('\r')) line.pop_back();
    return line;
  }

  InputBytes bytes_;
};

}  // namespace

InputBytes::Event InputBytes::wait(int limit_ms) {
  for (;;) {
    if (signals_.take_interrupt()) return Event::interrupt;
    if (signals_.take_resize()) return Event::resize;
    std::array<pollfd, 2> fds{{{fd_, POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
    const int ready = poll(fds.data(), fds.size(), limit_ms);
    if (ready == 0) return Event::bytes;
    if (ready < 0 || fds[1].revents != 0) continue;  // a signal, seen above
    std::array<char, 1 << 16> chunk;
    const ssize_t n = ::read(fd_, chunk.data(), chunk.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0 && errno != EIO) {  // EIO: the terminal is gone
      throw std::runtime_error(fmt::format("standard input: {}", std::strerror(errno)));
    }
    if (n <= 0) return Event::end;
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
    return Event::bytes;
  }
}

void InputBytes::take(std::size_t n) {
  taken_ += n;
  if (taken_ * 2 < buffer_.size()) return;
  buffer_.erase(0, taken_);
  taken_ = 0;
}

void InputBytes::put_back(std::string_view bytes) {
  buffer_.replace(0, taken_, bytes);
  taken_ = 0;
}

std::unique_ptr<ChatInput> read_lines(Signals& signals) {
  return std::make_unique<LineReader>(signals);
}

}  // namespace llamajit::cli
