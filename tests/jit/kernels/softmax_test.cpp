#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::softmax_test {
namespace {

using jit::SoftmaxArgs;
using jit::SoftmaxKey;

std::vector<float> check(const std::vector<float>& x, float scale, const std::string& what) {
  Kernels kernels(SoftmaxKey{static_cast<int>(x.size())});
  const auto result = kernels.check(0, what, [&](CallMemory& memory) {
    return SoftmaxArgs{memory.copy_of("x", x), scale};
  });
  const auto y = result->view<float>("x");
  return {y.begin(), y.end()};
}

void check_random(int n, float magnitude, float scale) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(n));
  const std::vector<float> x = source.random_floats(static_cast<std::size_t>(n), -magnitude, magnitude);
  const std::vector<float> actual = check(x, scale, fmt::format("magnitude {}, scale {}", magnitude, scale));
  double largest = -1e300, sum = 0;
  for (float v : x) largest = std::max(largest, double{v} * scale);
  for (float v : x) sum += std::exp(double{v} * scale - largest);
  // x*scale and its distance from the maximum are rounded before they are exponents.
  const double relative = 2 * (3 * std::abs(double{magnitude} * scale) + n / 16 + 20) * kEps;
  std::vector<double> expected, bounds;
  for (float v : x) {
    expected.push_back(std::exp(double{v} * scale - largest) / sum);
    bounds.push_back(relative * expected.back() + 1.2e-38);  // exp is clamped at the smallest normal number
  }
  expect_within(fmt::format("softmax of {}, magnitude {}, scale {}", n, magnitude, scale), actual, expected,
                bounds);
}

TEST(Softmax, EveryTail) {
  for (int n = 1; n <= 66; ++n) check_random(n, 4, 1);
}

TEST(Softmax, RealSizes) {
  for (int n : {512, 2048, 32000, 32003}) check_random(n, 10, 1.25F);
}

TEST(Softmax, HugeValuesAndScales) {
  for (int n : {5, 16, 100}) {
    for (float magnitude : {1e-30F, 1e3F, 1e30F}) {
      for (float scale : {1e-3F, 1.0F, 100.0F}) check_random(n, magnitude, scale);
    }
  }
}

TEST(Softmax, EqualValuesGetEqualShares) {
  for (int n : {1, 2, 8, 16, 64, 100}) {
    for (float value : {0.0F, -0.0F, 3e38F, -3e38F}) {
      for (float share :
           check(std::vector<float>(static_cast<std::size_t>(n), value), 1, fmt::format("all {}", value))) {
        EXPECT_FLOAT_EQ(share, 1.0F / static_cast<float>(n));
      }
    }
  }
}

TEST(Softmax, MinusInfinityGetsNothing) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> y = check({1, -kInfinity, 1, -kInfinity, -kInfinity}, 1, "some -infinity");
  EXPECT_LE(y[1], 1e-37F);
  EXPECT_FLOAT_EQ(y[0], 0.5F);
}

TEST(RandomShapes, Softmax) {
  for_random_shapes([](RandomShape& shape) {
    check_random(shape.between(1, 3000), shape.pick({1e-3F, 1.0F, 1e3F, 1e30F}),
                 shape.pick({1e-3F, 1.0F, 7.5F}));
  });
}

}  // namespace
}  // namespace llamajit::test::softmax_test
