// What fuzz targets have in common. A target is a program of one file, which says what becomes of an input, and of
// which inputs it goes out; libFuzzer makes others of them (https://llvm.org/docs/LibFuzzer.html).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::fuzz {

// --- by each target
// May do nothing but return. Throwing, crashing and taking long are findings.
void run(std::string_view input);
std::vector<std::string> seeds();

// --- by fuzz_support.cpp
// An input as a file, which is in memory alone.
class InputFile {
 public:
  explicit InputFile(std::string_view content);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

// Whether it went well. It may fail with a std::runtime_error that says something, and with no other: a logic_error is
// one of ours.
bool succeeds(const std::function<void()>& call);

// Ends the process with a message, which makes the input a finding.
[[noreturn]] void report(std::string_view what);
inline void expect(bool holds, std::string_view what) {
  if (!holds) report(what);
}

// Choices out of an input's bytes; zeros once they are used up.
class Recipe {
 public:
  explicit Recipe(std::string_view bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }
  template <class T>
  T number() {
    T value{};
    const std::string_view taken = take(sizeof value);
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  std::size_t pick(std::size_t count) { return number<std::uint8_t>() % count; }  // of 256 at most
  int between(int low, int high) {
    return low + static_cast<int>(number<std::uint16_t>()) % (high - low + 1);
  }
  std::string_view take(std::size_t most) {
    const std::string_view taken = bytes_.substr(0, most);
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  // Up to a byte of zero, which is skipped.
  std::string_view text() {
    const std::string_view taken = take(bytes_.find('\0'));
    take(1);
    return taken;
  }
  std::string_view rest() { return take(bytes_.size()); }

 private:
  std::string_view bytes_;
};

// What Recipe::text() takes apart.
inline std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (&text == texts.data() ? "" : std::string(1, '\0')) + text;
  return all;
}

}  // namespace llamajit::fuzz
