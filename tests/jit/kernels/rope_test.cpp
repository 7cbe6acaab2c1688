#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::rope_test {
namespace {

using jit::Cursor;
using jit::RopeArgs;
using jit::RopeKey;

constexpr int kPositions = 20;

float angle(int position, int pair, int head_dim) {
  return static_cast<float>(position) *
         std::pow(10000.0F, -2.0F * static_cast<float>(pair) / static_cast<float>(head_dim));
}

// (kPositions, 2, head_dim): cos, then signed sin.
std::vector<float> table(int head_dim) {
  std::vector<float> out;
  for (int p = 0; p < kPositions; ++p) {
    for (int i = 0; i < head_dim; ++i) out.push_back(std::cos(angle(p, i / 2, head_dim)));
    for (int i = 0; i < head_dim; ++i)
      out.push_back((i % 2 == 0 ? -1.0F : 1.0F) * std::sin(angle(p, i / 2, head_dim)));
  }
  return out;
}

// Each pair, as a complex number, turned by its angle.
void expect_is_right(const RopeKey& key, const std::vector<float>& before, int position,
                     std::span<const float> after) {
  std::vector<double> expected, bounds;
  for (std::size_t i = 0; i < before.size(); i += 2) {
    const double turn = angle(position, static_cast<int>(i) % key.head_dim / 2, key.head_dim);
    const double a = before[i], b = before[i + 1];
    expected.push_back(a * std::cos(turn) - b * std::sin(turn));
    expected.push_back(b * std::cos(turn) + a * std::sin(turn));
    bounds.insert(bounds.end(), 2, 4 * kEps * (std::abs(a) + std::abs(b)));
  }
  expect_within(fmt::format("{} at {}", kernel_name(key), position), after, expected, bounds);
}

class Rope : public testing::TestWithParam<int> {};

TEST_P(Rope, TurnsEachPair) {
  const RopeKey key{GetParam()};
  const std::vector<float> angles = table(key.head_dim);
  Kernels kernels(key);
  for (int n_heads : {1, 2, 3, 8}) {
    for (int position : {0, 1, 7, kPositions - 1}) {
      const auto count = static_cast<std::size_t>(n_heads * key.head_dim);
      std::vector<float> before;
      const auto result =
          kernels.check(3, fmt::format("{} heads, position {}", n_heads, position), [&](CallMemory& memory) {
            before = memory.random_floats(count, -3, 3);
            RopeArgs args{};
            args.x = memory.copy_of("x", before);
            args.out = memory.allocate<float>("out", count);
            args.table = memory.copy_of("table", angles);
            args.at = memory.copy_of("at", std::vector<Cursor>{{-1, position}});
            args.n_heads = n_heads;
            return args;
          });
      expect_is_right(key, before, position, result->view<float>("out"));
    }
  }
}

// Tokens at positions of their own, with other things between their rows.
TEST_P(Rope, SeveralTokens) {
  const RopeKey key{GetParam()};
  const std::vector<float> angles = table(key.head_dim);
  Kernels kernels(key);
  for (const int n_tokens : {2, 3, 9}) {
    const int n_heads = 3;
    const auto place = [](int t) { return (7 + t * t) % kPositions; };
    const int stride = n_heads * key.head_dim + 6;
    std::vector<float> before;
    const auto result = kernels.check(5, fmt::format("{} tokens", n_tokens), [&](CallMemory& memory) {
      before = memory.random_floats(static_cast<std::size_t>(n_tokens * stride), -3, 3);
      RopeArgs args{};
      args.x = memory.copy_of("x", before);
      args.out = memory.allocate<float>("out", before.size());
      args.table = memory.copy_of("table", angles);
      std::vector<Cursor> at;
      for (int t = 0; t < n_tokens; ++t) at.push_back({-1, place(t)});
      args.at = memory.copy_of("at", at);
      args.n_heads = n_heads;
      args.n_tokens = n_tokens;
      args.token_stride = stride;
      return args;
    });
    const auto count = static_cast<std::size_t>(n_heads * key.head_dim);
    for (int t = 0; t < n_tokens; ++t) {
      const auto first = static_cast<std::size_t>(t * stride);
      const std::vector<float> token(before.begin() + t * stride,
                                     before.begin() + t * stride + n_heads * key.head_dim);
      expect_is_right(key, token, place(t), result->view<float>("out").subspan(first, count));
    }
  }
}

TEST_P(Rope, InPlace) {
  const RopeKey key{GetParam()};
  const std::vector<float> angles = table(key.head_dim);
  Kernels kernels(key);
  std::vector<float> before;
  const auto result = kernels.check(4, "in place", [&](CallMemory& memory) {
    before = memory.random_floats(static_cast<std::size_t>(3 * key.head_dim), -3, 3);
    RopeArgs args{};
    args.out = memory.copy_of("x", before);
    args.x = args.out;
    args.table = memory.copy_of("table", angles);
    args.at = memory.copy_of("at", std::vector<Cursor>{{-1, 5}});
    args.n_heads = 3;
    return args;
  });
  expect_is_right(key, before, 5, result->view<float>("x"));
}

INSTANTIATE_TEST_SUITE_P(Grid, Rope,
                         testing::Values(2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 44, 48,
                                         64, 80, 96, 128, 256),
                         testing::PrintToStringParamName());

TEST(RandomShapes, Rope) {
  for_random_shapes([](RandomShape& shape) {
    const RopeKey key{2 * shape.between(1, 130)};
    const int n_heads = shape.between(1, 9), n_tokens = shape.between(1, 6);
    const int stride = n_heads * key.head_dim + shape.between(0, 9);
    Kernels(key).check(
        shape.seed(), fmt::format("{} heads, {} tokens", n_heads, n_tokens), [&](CallMemory& memory) {
          const auto floats = static_cast<std::size_t>((n_tokens - 1) * stride + n_heads * key.head_dim);
          RopeArgs args{};
          args.x = memory.uniform("x", floats, -3, 3);
          args.out = memory.allocate<float>("out", floats);
          args.table = memory.copy_of("table", table(key.head_dim));
          std::vector<Cursor> at;
          for (int t = 0; t < n_tokens; ++t) at.push_back({-1, (7 + t * t) % kPositions});
          args.at = memory.copy_of("at", at);
          args.n_heads = n_heads;
          args.n_tokens = n_tokens;
          args.token_stride = stride;
          return args;
        });
  });
}

}  // namespace
}  // namespace llamajit::test::rope_test
