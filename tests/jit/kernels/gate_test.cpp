// The gates of gated delta nets: of a head at a token, and of a vector.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::gate_test {
namespace {

using jit::DecayArgs;
using jit::DecayKey;
using jit::GateArgs;
using jit::GateKey;
using jit::GateKind;

TEST(Decay, EveryTail) {
  for (int heads = 1; heads <= 66; ++heads) {
    const DecayKey key{heads};
    Kernels kernels(key);
    const auto n = static_cast<std::size_t>(heads);
    for (const float magnitude : {0.1F, 3.0F, 40.0F}) {
      const auto result = kernels.check(0, fmt::format("magnitude {}", magnitude), [&](CallMemory& memory) {
        DecayArgs args{};
        args.alpha = memory.uniform("alpha", n, -magnitude, magnitude);
        args.dt = memory.uniform("dt", n, -1, 1);
        args.a = memory.uniform("a", n, -3, 0);
        args.beta = memory.uniform("beta", n, -magnitude, magnitude);
        args.decay = memory.allocate<float>("decay", n);
        args.rate = memory.allocate<float>("rate", n);
        return args;
      });
      std::vector<double> decay, decay_bounds, rate, rate_bounds;
      for (std::size_t h = 0; h < n; ++h) {
        const double a = result->view<float>("a")[h];
        const double x = double{result->view<float>("alpha")[h]} + result->view<float>("dt")[h];
        const double softplus = std::log1p(std::exp(x));
        decay.push_back(std::max(std::exp(a * softplus), std::exp(-87.33654)));
        decay_bounds.push_back((8 + std::abs(a) * (8 + 8 * softplus + std::abs(x))) * kEps * decay.back());
        rate.push_back(1 / (1 + std::exp(-double{result->view<float>("beta")[h]})));
        rate_bounds.push_back(8 * kEps * rate.back());
      }
      expect_within(kernel_name(key) + ", decay", result->view<float>("decay"), decay, decay_bounds);
      expect_within(kernel_name(key) + ", rate", result->view<float>("rate"), rate, rate_bounds);
    }
  }
}

TEST(Decay, InPlaceAndOfNoNumbers) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector odd{kNaN, kInfinity, -kInfinity, 20.0F, 20.000002F, 0.0F, 3e38F, 1e-45F};
  Kernels kernels(DecayKey{static_cast<int>(odd.size())});
  kernels.check(0, "odd numbers", [&](CallMemory& memory) {
    DecayArgs args{};
    args.decay = memory.copy_of("decay", odd);
    args.rate = memory.copy_of("rate", odd);
    args.alpha = args.decay;
    args.beta = args.rate;
    args.dt = memory.copy_of("dt", std::vector(odd.size(), 0.0F));
    args.a = memory.uniform("a", odd.size(), -3, 0);
    return args;
  });
}

// Of n values, gated from `begin` to `end`; those outside are not written.
void check(Kernels<GateKey>& kernels, const GateKey& key, float magnitude, std::int64_t begin,
           std::int64_t end) {
  const auto n = static_cast<std::size_t>(key.n);
  const std::string what = fmt::format("magnitude {}, [{}, {})", magnitude, begin, end);
  std::vector<float> x;
  const auto result = kernels.check(0, what, [&](CallMemory& memory) {
    x = memory.random_floats(n, -magnitude, magnitude);
    const float* gates = memory.uniform("gates", n, -magnitude, magnitude);
    float* const out = memory.copy_of("out", x);
    return GateArgs{out, gates, out, begin, end};
  });
  std::vector<double> expected, bounds;
  for (std::size_t i = 0; i < n; ++i) {
    const double g = result->view<float>("gates")[i], sigmoid = 1 / (1 + std::exp(-g));
    const bool in_slice = std::cmp_less_equal(begin, i) && std::cmp_less(i, end);
    const double gate = key.kind == GateKind::silu      ? g * sigmoid
                        : key.kind == GateKind::sigmoid ? sigmoid
                                                        : g;
    expected.push_back(in_slice ? x[i] * gate : x[i]);
    bounds.push_back(in_slice ? 10 * kEps * std::abs(expected.back()) : 0);
  }
  expect_within(kernel_name(key) + ", " + what, result->view<float>("out"), expected, bounds);
}

class Gate : public testing::TestWithParam<GateKind> {};

TEST_P(Gate, EveryTail) {
  for (int n = 1; n <= 66; ++n) {
    const GateKey key{n, GetParam()};
    Kernels kernels(key);
    for (const float magnitude : {0.01F, 5.0F, 80.0F}) check(kernels, key, magnitude, 0, n);
  }
}

TEST_P(Gate, SlicesLeaveTheRest) {
  for (const int n : {64, 75, 130}) {
    const GateKey key{n, GetParam()};
    Kernels kernels(key);
    for (const int begin : {0, 16, 48}) {
      for (const int end : {begin + 16, 64, n}) {
        if (begin < end) check(kernels, key, 6, begin, end);
      }
    }
  }
}

TEST_P(Gate, NotInPlace) {
  const GateKey key{40, GetParam()};
  Kernels kernels(key);
  kernels.check(1, "three vectors", [&](CallMemory& memory) {
    const float* x = memory.uniform("x", 40);
    const float* gates = memory.uniform("gates", 40, -9, 9);
    return GateArgs{x, gates, memory.allocate<float>("out", 40), 0, 40};
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, Gate, testing::Values(GateKind::sigmoid, GateKind::silu, GateKind::factor),
                         [](const auto& kind) { return std::string(to_string(kind.param)); });

TEST(RandomShapes, GateAndDecay) {
  for_random_shapes([](RandomShape& shape) {
    const GateKey key{shape.between(1, 3000),
                      shape.pick({GateKind::sigmoid, GateKind::silu, GateKind::factor})};
    Kernels kernels(key);
    const auto [begin, end] = shape.slice(key.n);
    check(kernels, key, shape.pick({0.1F, 9.0F, 80.0F}), begin, end);
    const auto heads = static_cast<std::size_t>(shape.between(1, 200));
    Kernels(DecayKey{static_cast<int>(heads)}).check(shape.seed(), "random", [&](CallMemory& memory) {
      DecayArgs args{};
      args.alpha = memory.uniform("alpha", heads, -30, 30);
      args.dt = memory.uniform("dt", heads, -1, 1);
      args.a = memory.uniform("a", heads, -3, 0);
      args.beta = memory.uniform("beta", heads, -30, 30);
      args.decay = memory.allocate<float>("decay", heads);
      args.rate = memory.allocate<float>("rate", heads);
      return args;
    });
  });
}

}  // namespace
}  // namespace llamajit::test::gate_test
