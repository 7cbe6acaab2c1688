// How much time and memory a grammar may take to be made ready: one count of each for all that is done, so that no
// text, however short, makes a program work for minutes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace llamajit {

class CompileWork {
 public:
  // A step is a position or an edge that is written, a member of a set that is looked at, a few characters that are
  // compared: 10 to 25 ns. So all of them take a second or so.
  static constexpr std::size_t kMaxSteps = 60'000'000;
  static constexpr std::size_t kMaxBytes = std::size_t{192} << 20;

  explicit CompileWork(std::string name) : name_(std::move(name)) {}

  // Both throw std::runtime_error beyond the bounds, as "NAME: expected less work to compile than 60000000 steps, found
  // more; …"; the reason says what the last of them were for.
  void charge(std::size_t steps, std::string_view reason) {
    steps_ += steps;
    if (steps_ > kMaxSteps) refuse_steps(reason);
  }
  // Memory that is kept until the grammar is ready.
  void hold(std::size_t bytes, std::string_view reason) {
    bytes_ += bytes;
    if (bytes_ > kMaxBytes) refuse_bytes(reason);
  }

  std::size_t steps() const { return steps_; }
  std::size_t bytes() const { return bytes_; }

 private:
  [[noreturn]] void refuse_steps(std::string_view reason) const;
  [[noreturn]] void refuse_bytes(std::string_view reason) const;

  std::string name_;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace llamajit
