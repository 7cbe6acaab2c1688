#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::cap_test {
namespace {

using jit::CapArgs;
using jit::CapKey;

// Of n values, capped from `begin` to `end`; those outside stay.
void check(Kernels<CapKey>& kernels, const CapKey& key, float magnitude, std::int64_t begin,
           std::int64_t end) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(key.n));
  const auto x = source.random_floats(static_cast<std::size_t>(key.n), -magnitude, magnitude);
  const std::string what = fmt::format("magnitude {}, [{}, {})", magnitude, begin, end);
  const auto result = kernels.check(0, what, [&](CallMemory& memory) {
    return CapArgs{memory.copy_of("x", x), begin, end};
  });
  std::vector<double> expected, bounds;
  for (std::int64_t i = 0; i < key.n; ++i) {
    const double value = x[static_cast<std::size_t>(i)];
    const bool in_slice = begin <= i && i < end;
    expected.push_back(in_slice ? key.cap * std::tanh(value / key.cap) : value);
    bounds.push_back(in_slice ? 16 * kEps * key.cap : 0);
  }
  expect_within(kernel_name(key) + ", " + what, result->view<float>("x"), expected, bounds);
}

TEST(Cap, EveryTail) {
  for (int n = 1; n <= 66; ++n) {
    const CapKey key{n, 12.0F};
    Kernels kernels(key);
    for (const float magnitude : {0.01F, 5.0F, 200.0F, 3e38F}) check(kernels, key, magnitude, 0, n);
  }
}

TEST(Cap, SlicesLeaveTheRest) {
  for (const int n : {64, 75, 130}) {
    const CapKey key{n, 30.0F};
    Kernels kernels(key);
    for (const int begin : {0, 16, 48}) {
      for (const int end : {begin + 16, 64, n}) {
        if (begin < end) check(kernels, key, 60, begin, end);
      }
    }
  }
}

TEST(Cap, InfinitiesReachTheCap) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const CapKey key{3, 30.0F};
  Kernels kernels(key);
  const auto result = kernels.check(0, "infinities", [&](CallMemory& memory) {
    return CapArgs{memory.copy_of("x", std::vector{kInfinity, -kInfinity, 0.0F}), 0, 3};
  });
  const auto x = result->view<float>("x");
  EXPECT_EQ(x[0], 30);
  EXPECT_EQ(x[1], -30);
  EXPECT_EQ(x[2], 0);
}

TEST(RandomShapes, Cap) {
  for_random_shapes([](RandomShape& shape) {
    const CapKey key{shape.between(1, 3000), shape.pick({1.0F, 12.5F, 50.0F})};
    Kernels kernels(key);
    const auto [begin, end] = shape.slice(key.n);
    check(kernels, key, shape.pick({0.1F, 40.0F, 1e30F}), begin, end);
  });
}

}  // namespace
}  // namespace llamajit::test::cap_test
