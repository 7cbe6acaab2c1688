#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test {
namespace {

using jit::NormArgs;
using jit::NormKey;

void expect_is_right(const NormKey& key, const CallMemory& result) {
  const auto x = result.view<float>("x"), weight = result.view<float>("weight");
  double squares = 0;
  for (float v : x) squares += double{v} * v;
  const double scale = 1 / std::sqrt(squares / key.n + double{key.eps});
  std::vector<double> expected, bounds;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected.push_back(x[i] * scale * weight[i]);
    bounds.push_back((key.n / 64 + 16) * kEps * std::abs(expected.back()));
  }
  expect_within(kernel_name(key), result.view<float>("out"), expected, bounds);
}

void check(int n, float eps, float magnitude) {
  const NormKey key{n, eps};
  const auto count = static_cast<std::size_t>(n);
  Kernels kernels(key);
  const auto seed = static_cast<std::uint64_t>(n);
  const auto apart = kernels.check(seed, fmt::format("magnitude {}", magnitude), [&](CallMemory& memory) {
    const float* x = memory.uniform("x", count, -magnitude, magnitude);
    const float* weight = memory.uniform("weight", count);
    return NormArgs{x, weight, memory.allocate<float>("out", count)};
  });
  expect_is_right(key, *apart);
  const auto in_place = kernels.check(seed, "in place", [&](CallMemory& memory) {
    float* x = memory.uniform("x", count, -magnitude, magnitude);
    return NormArgs{x, memory.uniform("weight", count), x};
  });
  EXPECT_TRUE(std::ranges::equal(in_place->view<float>("x"), apart->view<float>("out"))) << kernel_name(key);
}

TEST(Norm, EveryTail) {
  for (int n = 1; n <= 130; ++n) check(n, 1e-5F, 1);
}

TEST(Norm, RealSizes) {
  for (int n : {172, 288, 768, 2048, 4096, 5632}) check(n, 1e-6F, 1);
}

TEST(Norm, LargeAndSmallMagnitudes) {
  for (int n : {44, 64, 288}) {
    for (float magnitude : {1e-12F, 1e-3F, 1e4F, 1e12F}) check(n, 1e-5F, magnitude);
  }
}

TEST(Norm, ZerosStayZeros) {
  Kernels kernels(NormKey{77, 1e-5F});
  const auto result = kernels.check(1, "zeros", [](CallMemory& memory) {
    const float* x = memory.copy_of("x", std::vector<float>(77, 0.0F));
    const float* weight = memory.uniform("weight", 77, 0, 1);
    return NormArgs{x, weight, memory.allocate<float>("out", 77)};
  });
  for (float v : result->view<float>("out")) EXPECT_EQ(v, 0.0F);
}

}  // namespace
}  // namespace llamajit::test
