// A lesson's kernel with the numbers that it is called with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "jit/kernels/kernels.h"

namespace llamajit::cli {

using Numbers = std::vector<std::vector<float>>;  // list by list

struct Exercise {
  struct Result {
    std::string name;
    std::vector<float> values;
    std::size_t columns;  // values to a line
  };

  Exercise(jit::KernelKey its_key, Numbers its_inputs) : key(its_key), inputs(std::move(its_inputs)) {}
  Exercise(Exercise&&) = default;  // args point into the vectors, which stay where they are
  Exercise(const Exercise&) = delete;
  Exercise& operator=(const Exercise&) = delete;
  Exercise& operator=(Exercise&&) = delete;
  ~Exercise() = default;

  const void* args_address() const {
    return std::visit([](const auto& a) -> const void* { return &a; }, args);
  }

  jit::KernelKey key;
  Numbers inputs;
  std::vector<std::uint16_t> signs;                        // one-bit
  std::vector<float> rest;                                 // experts
  std::vector<std::pair<std::string, std::string>> facts;  // shown with the numbers
  std::vector<Result> results;                             // what a call writes
  std::variant<jit::LessonAddArgs, jit::LessonDotArgs, jit::LessonAttentionArgs, jit::LessonFeedForwardArgs,
               jit::LessonOneBitArgs, jit::LessonExpertsArgs, jit::LessonStateArgs>
      args;
};

struct Lesson {
  std::string_view name;
  std::vector<std::string_view> lists;  // what its lists of numbers are
  std::size_t free_lists;               // so many of the first may be of any length
  Numbers example;
  Exercise (*make)(Numbers numbers);
};
std::span<const Lesson> kernel_lessons();

// The lists that the words stand for, "/" between two of them; the example's where there are none. As many
// numbers as there are lists, and no "/", are one each. Throws std::invalid_argument that says what was
// expected and found.
Numbers parse_numbers(const Lesson& lesson, std::span<const std::string> words);
// Lists of `length` random numbers each, the same ones in every run. Throws std::invalid_argument.
Numbers random_numbers(const Lesson& lesson, int length);

}  // namespace llamajit::cli
