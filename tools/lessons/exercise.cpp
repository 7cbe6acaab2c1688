#include "tools/lessons/exercise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace llamajit::cli {
namespace {

// Somewhere to write, with NaNs that a forgotten write would leave.
Exercise::Result result(std::string name, std::size_t values, std::size_t columns) {
  return {std::move(name), std::vector<float>(values, std::numeric_limits<float>::quiet_NaN()), columns};
}

int length(const std::vector<float>& list) {
  return static_cast<int>(list.size());
}

Exercise add(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonAddKey{n}, std::move(numbers));
  e.results.push_back(result("a + b", e.inputs[0].size(), e.inputs[0].size()));
  e.args = jit::LessonAddArgs{e.inputs[0].data(), e.inputs[1].data(), e.results[0].values.data()};
  return e;
}

Exercise dot(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonDotKey{n}, std::move(numbers));
  e.results.push_back(result("a · b", 1, 1));
  e.args = jit::LessonDotArgs{e.inputs[0].data(), e.inputs[1].data(), e.results[0].values.data()};
  return e;
}

Exercise attention(Numbers numbers) {
  const int n = length(numbers[1]);
  Exercise e(jit::LessonAttentionKey{n}, std::move(numbers));
  const std::size_t queries = e.inputs[0].size(), positions = e.inputs[1].size();
  e.results.push_back(result("weights", queries * positions, positions));
  e.results.push_back(result("out", queries, queries));
  e.args = jit::LessonAttentionArgs{e.inputs[0].data(),         e.inputs[1].data(),
                                    e.inputs[2].data(),         e.results[0].values.data(),
                                    e.results[1].values.data(), static_cast<std::int64_t>(queries)};
  return e;
}

Exercise feed_forward(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonFeedForwardKey{n}, std::move(numbers));
  e.results.push_back(result("(x + h) + h * w", e.inputs[0].size(), e.inputs[0].size()));
  e.args = jit::LessonFeedForwardArgs{e.inputs[0].data(), e.inputs[1].data(), e.inputs[2].data(),
                                      e.results[0].values.data()};
  return e;
}

// The one-bit weights nearest to w: the squared error is least with the mean of the magnitudes as the scale.
Exercise one_bit(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonOneBitKey{n}, std::move(numbers));
  const std::vector<float>& w = e.inputs[0];
  const std::vector<float>& x = e.inputs[1];
  e.signs.resize(static_cast<std::size_t>(jit::divide_up(length(w), jit::kLanes)));
  std::string shown;
  double magnitudes = 0, exact = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const bool negative = w[i] < 0;
    if (negative) e.signs[i / jit::kLanes] |= static_cast<std::uint16_t>(1U << i % jit::kLanes);
    if (i < jit::kLanes) shown += negative ? "1 " : "0 ";
    magnitudes += std::abs(double{w[i]});
    exact += double{w[i]} * x[i];
  }
  const auto scale = static_cast<float>(magnitudes / static_cast<double>(w.size()));
  shown.pop_back();
  e.facts = {{"sign bits of w", w.size() > jit::kLanes ? shown + " …" : shown},
             {"scale = mean |w|", fmt::format("{}", scale)},
             {"w · x, not rounded", fmt::format("{:.6g}", exact)}};
  e.results.push_back(result("one-bit w · x", 1, 1));
  e.args = jit::LessonOneBitArgs{e.signs.data(), x.data(), e.results[0].values.data(), scale};
  return e;
}

Exercise experts(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonExpertsKey{n, std::min(n, jit::LessonExpertsKey::kMostUsed)}, std::move(numbers));
  e.rest.resize(static_cast<std::size_t>(jit::round_up(n, jit::kLanes)));
  e.results.push_back(result("weights", e.inputs[0].size(), e.inputs[0].size()));
  e.results.push_back(result("out", 1, 1));
  e.args = jit::LessonExpertsArgs{e.inputs[0].data(), e.inputs[1].data(), e.rest.data(),
                                  e.results[0].values.data(), e.results[1].values.data()};
  return e;
}

Exercise state(Numbers numbers) {
  const int n = length(numbers[0]);
  Exercise e(jit::LessonStateKey{n}, std::move(numbers));
  const std::size_t tokens = e.inputs[0].size();
  e.results.push_back(result("state", tokens, tokens));
  e.results.push_back(result("out", tokens, tokens));
  e.args = jit::LessonStateArgs{e.inputs[0].data(), e.inputs[1].data(), e.inputs[2].data(),
                                e.results[0].values.data(), e.results[1].values.data()};
  return e;
}

}  // namespace

std::span<const Lesson> kernel_lessons() {
  static const std::vector<Lesson> lessons = {
      {"add", {"a", "b"}, 0, {{5}, {7}}, add},
      {"dot", {"a", "b"}, 0, {{2, 3}, {4, 5}}, dot},
      {"attention", {"q", "k", "v"}, 1, {{2, 3, 4, 5}, {2, 3, 4, 5}, {2, 3, 4, 5}}, attention},
      {"feed-forward", {"x", "h", "w"}, 0, {{2, 3}, {4, 5}, {1, 0.5F}}, feed_forward},
      {"one-bit",
       {"w", "x"},
       0,
       {{0.8F, -1.1F, -0.7F, 1.4F, 0.1F, -0.9F, 1.2F, -1.0F}, {2, 3, 4, 5, 1, -2, 3, 1}},
       one_bit},
      {"experts", {"scores", "outputs"}, 0, {{1, 3, 2, 0}, {10, 20, 30, 40}}, experts},
      {"state", {"q", "k", "v"}, 0, {{1, 1, 1, 1}, {1, 1, 0.5F, 0}, {2, 3, 4, 5}}, state}};
  return lessons;
}

}  // namespace llamajit::cli
