#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::norm_test {
namespace {

using jit::NormArgs;
using jit::NormKey;
using jit::NormKind;

void expect_is_rms_norm(const NormKey& key, std::span<const float> x, const CallMemory& /*result*/,
                        std::span<const float> weight, std::span<const float> out) {
  double squares = 0;
  for (float v : x) squares += double{v} * v;
  const double scale = 1 / std::sqrt(squares / key.n + double{key.eps});
  std::vector<double> expected, bounds;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected.push_back(x[i] * scale * weight[i]);
    bounds.push_back((key.n / 64 + 16) * kEps * std::abs(expected.back()));
  }
  expect_within(kernel_name(key), out, expected, bounds);
}

void expect_is_layer_norm(const NormKey& key, std::span<const float> x, const CallMemory& result,
                          std::span<const float> weight, std::span<const float> out) {
  const auto bias = result.view<float>("bias");
  double mean = 0, largest = 0, squares = 0;
  for (const float v : x) {
    mean += double{v} / key.n;
    largest = std::max(largest, std::abs(double{v}));
  }
  for (const float v : x) squares += (v - mean) * (v - mean);
  const double scale = 1 / std::sqrt(squares / key.n + double{key.eps});
  const double roundings = (key.n / 64 + 16) * kEps;
  // The mean is off by so much at the most, and everything moves with it.
  const double mean_bound = roundings * largest;
  std::vector<double> expected, bounds;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double scaled = (x[i] - mean) * scale;
    expected.push_back(scaled * weight[i] + bias[i]);
    bounds.push_back(std::abs(weight[i]) * (2 * mean_bound * scale * (1 + std::abs(scaled)) +
                                            3 * roundings * std::abs(scaled)) +
                     2 * kEps * (std::abs(expected.back()) + std::abs(bias[i])));
  }
  expect_within(kernel_name(key), out, expected, bounds);
}

void expect_is_right(const NormKey& key, const CallMemory& result) {
  const auto x = result.view<float>("x"), out = result.view<float>("out");
  const auto n = static_cast<std::size_t>(key.n);
  const auto weight = result.view<float>("weight");
  for (std::size_t at = 0; at < x.size(); at += n) {
    const auto expect = key.kind == NormKind::rms ? expect_is_rms_norm : expect_is_layer_norm;
    expect(key, x.subspan(at, n), result, weight.subspan(key.own_weights ? at : 0, n), out.subspan(at, n));
  }
}

void check(const NormKey& key, float magnitude, int vectors) {
  const auto n = static_cast<std::size_t>(key.n);
  const std::size_t count = n * static_cast<std::size_t>(vectors);
  Kernels kernels(key);
  const auto seed = static_cast<std::uint64_t>(key.n);
  const auto with_weights = [&](CallMemory& memory, const float* x, float* out) {
    NormArgs args{x, memory.uniform("weight", key.own_weights ? count : n), out};
    if (key.kind == NormKind::layer) args.bias = memory.uniform("bias", n);
    args.vectors = vectors;
    return args;
  };
  const std::string what = fmt::format("{} vectors, magnitude {}", vectors, magnitude);
  const auto apart = kernels.check(seed, what, [&](CallMemory& memory) {
    const float* x = memory.uniform("x", count, -magnitude, magnitude);
    return with_weights(memory, x, memory.allocate<float>("out", count));
  });
  expect_is_right(key, *apart);
  const auto in_place = kernels.check(seed, what + ", in place", [&](CallMemory& memory) {
    float* x = memory.uniform("x", count, -magnitude, magnitude);
    return with_weights(memory, x, x);
  });
  EXPECT_TRUE(std::ranges::equal(in_place->view<float>("x"), apart->view<float>("out"))) << kernel_name(key);
}

void check(int n, float eps, float magnitude) {
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) check({n, eps, kind}, magnitude, 1);
}

TEST(Norm, EveryTail) {
  for (int n = 1; n <= 130; ++n) check(n, 1e-5F, 1);
}

// The norm of a branch: what it adds is what it would have stored.
TEST(Norm, AddsToTheStream) {
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
    for (const int n : {1, 16, 44, 64, 77, 130, 288}) {
      const auto size = static_cast<std::size_t>(n);
      const auto make = [&](CallMemory& memory, const std::vector<float>& before) {
        const float* x = memory.uniform("x", 3 * size);
        NormArgs args{x, memory.uniform("weight", size), memory.copy_of("out", before)};
        if (kind == NormKind::layer) args.bias = memory.uniform("bias", size);
        args.vectors = 3;
        return args;
      };
      CallMemory source(Edge::back, size);
      const std::vector<float> stream = source.random_floats(3 * size);
      NormKey key{n, 1e-6F, kind};
      const auto alone = Kernels(key).check(7, "stored", [&](CallMemory& m) { return make(m, stream); });
      key.adds = true;
      const auto added = Kernels(key).check(7, "added", [&](CallMemory& m) { return make(m, stream); });
      for (std::size_t i = 0; i < 3 * size; ++i) {
        ASSERT_EQ(added->view<float>("out")[i], stream[i] + alone->view<float>("out")[i]) << kernel_name(key);
      }
    }
  }
}

TEST(Norm, VectorsWithWeightsOfTheirOwn) {
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
    for (const int n : {1, 16, 44, 64, 80, 128}) {
      for (const int vectors : {1, 3, 8}) check({n, 1e-6F, kind, true}, 1, vectors);
    }
  }
}

TEST(Norm, RealSizes) {
  for (int n : {172, 288, 768, 2048, 4096, 5632}) check(n, 1e-6F, 1);
}

// The heads of a query.
TEST(Norm, ManyVectors) {
  for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
    for (const int n : {1, 8, 16, 44, 64, 80, 128, 200}) {
      for (const int vectors : {2, 3, 8}) check({n, 1e-6F, kind}, 1, vectors);
    }
  }
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

TEST(RandomShapes, Norm) {
  for_random_shapes([](RandomShape& shape) {
    NormKey key{shape.between(1, 2000), shape.pick({1e-5F, 1e-6F, 0.1F}),
                shape.pick({NormKind::rms, NormKind::layer})};
    key.own_weights = shape.flag();
    check(key, shape.pick({1.0F, 100.0F}), shape.between(1, 5));
  });
}

}  // namespace
}  // namespace llamajit::test::norm_test
