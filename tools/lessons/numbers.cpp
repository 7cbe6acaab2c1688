// A lesson's numbers, as the command line has them.
#include <charconv>
#include <cmath>
#include <random>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/lessons/exercise.h"

namespace llamajit::cli {
namespace {

// In a list; what the twin does with as many queries as keys still takes no time that anybody notices.
constexpr std::size_t kMost = 1024;

float parse_number(const Lesson& lesson, const std::string& word) {
  const char* const begin = word.data() + (word.starts_with('+') ? 1 : 0);
  const char* const end = word.data() + word.size();
  float value = 0;
  const auto [behind, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || behind != end || !std::isfinite(value)) {
    throw std::invalid_argument(fmt::format(
        "lesson {}: expected a finite number, or -- between two lists, found '{}'", lesson.name, word));
  }
  return value;
}

std::string lists_text(const Lesson& lesson) {
  return fmt::format("{} lists of numbers with -- between them ({})", lesson.lists.size(),
                     fmt::join(lesson.lists, " -- "));
}

void check(const Lesson& lesson, const Numbers& numbers) {
  if (numbers.size() != lesson.lists.size()) {
    throw std::invalid_argument(
        fmt::format("lesson {}: expected {}, found {}", lesson.name, lists_text(lesson), numbers.size()));
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i].empty() || numbers[i].size() > kMost) {
      throw std::invalid_argument(fmt::format("lesson {}: expected 1 to {} numbers in the list {}, found {}",
                                              lesson.name, kMost, lesson.lists[i], numbers[i].size()));
    }
  }
  const std::size_t first = lesson.free_lists;
  for (std::size_t i = first + 1; i < numbers.size(); ++i) {
    if (numbers[i].size() == numbers[first].size()) continue;
    throw std::invalid_argument(fmt::format(
        "lesson {}: expected as many numbers in the list {} as in the list {}, {}, found {}", lesson.name,
        lesson.lists[i], lesson.lists[first], numbers[first].size(), numbers[i].size()));
  }
}

}  // namespace

Numbers parse_numbers(const Lesson& lesson, std::span<const std::string> words) {
  if (words.empty()) return lesson.example;
  Numbers numbers(1);
  for (const std::string& word : words) {
    if (word == "/") {
      numbers.emplace_back();
    } else {
      numbers.back().push_back(parse_number(lesson, word));
    }
  }
  // With one number to a list, nothing need part them.
  if (numbers.size() == 1 && numbers[0].size() == lesson.lists.size()) {
    Numbers parted;
    parted.reserve(numbers[0].size());
    for (const float number : numbers[0]) parted.push_back({number});
    return parted;
  }
  check(lesson, numbers);
  return numbers;
}

Numbers random_numbers(const Lesson& lesson, int length) {
  if (length < 1 || static_cast<std::size_t>(length) > kMost) {
    throw std::invalid_argument(fmt::format("--random: expected 1 to {} numbers, found {}", kMost, length));
  }
  std::mt19937 random(1);
  Numbers numbers(lesson.lists.size(), std::vector<float>(static_cast<std::size_t>(length)));
  for (std::vector<float>& list : numbers) {
    for (float& value : list) value = static_cast<float>(static_cast<std::int32_t>(random())) * 0x1p-31F;
  }
  return numbers;
}

}  // namespace llamajit::cli
