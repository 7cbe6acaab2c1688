// Fuzzes a target without libFuzzer, which only clang has: its seeds, changed by chance, with words of a dictionary among
// them, and blind to what they reach. It is what the sanitized tests run for some seconds; tools/dev/fuzz finds more.
//
//   TARGET_fuzz --seconds N --input FILE [--dictionary FILE]   FILE has the input at hand: what a finding was made by
//   TARGET_fuzz FILE…                                          runs these inputs
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

constexpr std::size_t kLongest = std::size_t{1} << 16;  // bytes of an input
constexpr unsigned kSecondsForInput = 10;               // SIGALRM ends the program behind these

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) report(fmt::format("cannot read {}", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

// Lines "word", as libFuzzer has them: \" and \\ and \xAB are escaped.
std::vector<std::string> words_of(const std::string& dictionary) {
  std::vector<std::string> words;
  std::ifstream file(dictionary);
  for (std::string line; std::getline(file, line);) {
    if (line.size() < 2 || line.front() != '"' || line.back() != '"') continue;
    std::string& word = words.emplace_back();
    for (std::size_t i = 1; i + 1 < line.size(); ++i) {
      if (line[i] == '\\' && line[i + 1] == 'x') {
        word += static_cast<char>(std::stoi(line.substr(i + 2, 2), nullptr, 16));
        i += 3;
      } else {
        word += line[i] == '\\' ? line[++i] : line[i];
      }
    }
  }
  return words;
}

class Mutations {
 public:
  Mutations(std::vector<std::string> inputs, std::vector<std::string> words)
      : inputs_(std::move(inputs)), words_(std::move(words)) {}

  std::string next() {
    std::string input = any(inputs_);
    for (std::size_t n = below(8) + 1; n > 0; --n) change(input);
    input.resize(std::min(input.size(), kLongest));
    return input;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
  const std::string& any(const std::vector<std::string>& of) { return of[below(of.size())]; }

  void change(std::string& input) {
    const std::size_t at = below(input.size() + 1), n = below(input.size() - at + 1);
    switch (below(8)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(below(256));
        break;
      case 2:
        overwrite(input, at);
        break;
      case 3:
        input.erase(at, below(2) == 0 ? 1 : n);
        break;
      case 4:
        input.insert(at, input.substr(below(input.size() + 1), below(64)));
        break;
      case 5: {
        const std::string& other = any(inputs_);
        input.replace(at, n, other, below(other.size() + 1));
        break;
      }
      case 6:
        input.insert(at, 1 + below(16), static_cast<char>(below(256)));
        break;
      default:
        if (!words_.empty()) input.insert(at, any(words_));
    }
  }

  // By a number that is at an end of some range.
  void overwrite(std::string& input, std::size_t at) {
    constexpr std::uint64_t kNumbers[] = {0,          1,          2,           0x7F,       0x80,
                                          0xFF,       0x7FFF,     0xFFFF,      0x10000,    0x7FFFFFFF,
                                          0x80000000, 0xFFFFFFFF, 0x100000000, 1ULL << 62, ~0ULL};
    const std::uint64_t number = kNumbers[below(std::size(kNumbers))];
    const std::size_t bytes = std::min(std::size_t{1} << below(4), input.size() - at);
    std::memcpy(input.data() + at, &number, bytes);
  }

  std::vector<std::string> inputs_, words_;
  std::mt19937_64 random_{1};
};

void run_timed(std::string_view input) {
  alarm(kSecondsForInput);
  run(input);
  alarm(0);
}

void fuzz(int seconds, const std::string& kept, std::vector<std::string> words) {
  using Clock = std::chrono::steady_clock;
  const std::vector<std::string> inputs = seeds();
  for (const std::string& seed : inputs) run_timed(seed);
  Mutations mutations(inputs, std::move(words));
  std::int64_t runs = 0;
  for (const auto end = Clock::now() + std::chrono::seconds(seconds); Clock::now() < end; ++runs) {
    const std::string input = mutations.next();
    std::ofstream(kept, std::ios::binary | std::ios::trunc) << input;
    run_timed(input);
  }
  std::remove(kept.c_str());
  fmt::print("{} seeds and {} inputs\n", inputs.size(), runs);
}

}  // namespace
}  // namespace llamajit::fuzz

int main(int argc, char** argv) {
  std::map<std::string_view, std::string> options;
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::size_t at = 0;
  for (; at + 1 < words.size() && words[at].starts_with("--"); at += 2) options[words[at]] = words[at + 1];
  for (; at < words.size(); ++at) llamajit::fuzz::run_timed(llamajit::fuzz::content_of(words[at]));
  if (!options.contains("--seconds")) return 0;
  int seconds = 0;
  const std::string& text = options["--seconds"];
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  llamajit::fuzz::fuzz(seconds, options["--input"], llamajit::fuzz::words_of(options["--dictionary"]));
  return 0;
}
