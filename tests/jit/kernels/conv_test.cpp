#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::conv_test {
namespace {

using jit::ConvArgs;
using jit::ConvKey;
using jit::Cursor;

constexpr std::size_t kBefore = 12;  // floats of other layers, which lie before the state

// What a call is about: x of tokens behind one another, `gap` floats between them, and the state before them.
struct Conv {
  ConvKey key;
  int n_tokens;
  int gap;
  std::vector<float> x, state, weights;

  Conv(const ConvKey& conv_key, int tokens, int between) : key(conv_key), n_tokens(tokens), gap(between) {
    CallMemory source(Edge::back, static_cast<std::uint64_t>(key.channels));
    x = source.random_floats(static_cast<std::size_t>(tokens * stride()), -2, 2);
    state = source.random_floats(kBefore + static_cast<std::size_t>(key.state_floats()), -2, 2);
    weights = source.random_floats(static_cast<std::size_t>(key.weights_floats()));
  }

  int stride() const { return key.channels + gap; }

  ConvArgs args(CallMemory& memory, std::int64_t begin, std::int64_t end) const {
    ConvArgs args{};
    args.x = memory.copy_of("x", x);
    args.out = memory.allocate<float>("out", x.size());
    args.weights = memory.copy_of("weights", weights);
    Cursor at{-1, 7};
    at.state = reinterpret_cast<std::byte*>(memory.copy_of("state", state));
    args.at = memory.addresses("at", std::vector{at});
    args.state_at = kBefore * sizeof(float);
    args.begin = begin;
    args.end = end;
    args.n_tokens = n_tokens;
    args.token_stride = stride();
    return args;
  }

  // The input of a channel, before token 0 as the state has it.
  float in(int t, int c) const {
    const std::int64_t before = (key.taps - 1 + t) * jit::row_stride(key.channels) + c;
    return t < 0 ? state[kBefore + static_cast<std::size_t>(before)]
                 : x[static_cast<std::size_t>(t * stride() + c)];
  }
};

// In double precision.
void expect_is_right(const Conv& conv, int begin, int end, const CallMemory& result) {
  const auto stride = static_cast<std::size_t>(conv.stride()), first = static_cast<std::size_t>(begin);
  for (int t = 0; t < conv.n_tokens; ++t) {
    std::vector<double> expected, bounds;
    for (int c = begin; c < end; ++c) {
      double sum = 0, magnitude = 0;
      for (int tap = 0; tap < conv.key.taps; ++tap) {
        const auto at = static_cast<std::size_t>(tap * jit::row_stride(conv.key.channels) + c);
        const double product = double{conv.weights[at]} * conv.in(t - conv.key.taps + 1 + tap, c);
        sum += product;
        magnitude += std::abs(product);
      }
      expected.push_back(sum / (1 + std::exp(-sum)));
      bounds.push_back((2 * conv.key.taps + 16) * kEps * magnitude);  // silu's slope is at most 1.1
    }
    const auto out = result.view<float>("out").subspan(static_cast<std::size_t>(t) * stride + first);
    expect_within(fmt::format("{}, token {}", kernel_name(conv.key), t), out.first(expected.size()), expected,
                  bounds);
  }
}

// The last taps - 1 inputs within the slice; elsewhere what stood there.
void expect_remembers(const Conv& conv, int begin, int end, const CallMemory& result) {
  const auto state = result.view<float>("state");
  for (std::size_t i = 0; i < kBefore; ++i) ASSERT_EQ(state[i], conv.state[i]);
  const auto row = static_cast<int>(jit::row_stride(conv.key.channels));
  for (int i = 0; i < conv.key.taps - 1; ++i) {
    for (int c = 0; c < row; ++c) {
      const auto at = kBefore + static_cast<std::size_t>(i * row + c);
      const bool in_slice = begin <= c && c < end;
      const float expected = in_slice ? conv.in(conv.n_tokens - conv.key.taps + 1 + i, c) : conv.state[at];
      ASSERT_EQ(state[at], expected) << kernel_name(conv.key) << " row " << i << " channel " << c;
    }
  }
}

void check(Kernels<ConvKey>& kernels, const Conv& conv, int begin, int end) {
  const std::string what = fmt::format("{} tokens, [{}, {})", conv.n_tokens, begin, end);
  const auto result =
      kernels.check(0, what, [&](CallMemory& memory) { return conv.args(memory, begin, end); });
  expect_is_right(conv, begin, end, *result);
  expect_remembers(conv, begin, end, *result);
}

class ConvOfTaps : public testing::TestWithParam<int> {};

TEST_P(ConvOfTaps, EveryTail) {
  for (const int channels : {1, 2, 15, 16, 17, 31, 33, 40, 63, 64, 77, 128, 256}) {
    const ConvKey key{channels, GetParam()};
    Kernels kernels(key);
    for (const int n_tokens : {1, 2, 3, 4, 9}) check(kernels, {key, n_tokens, n_tokens}, 0, channels);
  }
}

TEST_P(ConvOfTaps, SlicesLeaveTheRest) {
  for (const int channels : {64, 75, 130}) {
    const ConvKey key{channels, GetParam()};
    Kernels kernels(key);
    for (const int begin : {0, 16, 48}) {
      for (const int end : {begin + 16, 64, channels}) {
        if (begin < end) check(kernels, {key, 3, 0}, begin, end);
      }
    }
  }
}

TEST_P(ConvOfTaps, TokensOneByOneGiveTheSameBits) {
  const ConvKey key{77, GetParam()};
  Kernels kernels(key);
  const Conv all(key, 5, 3);
  const auto at_once =
      kernels.check(0, "at once", [&](CallMemory& memory) { return all.args(memory, 0, key.channels); });
  Conv one(key, 1, 3);
  one.state = all.state;
  one.weights = all.weights;
  for (int t = 0; t < all.n_tokens; ++t) {
    one.x.assign(all.x.begin() + t * all.stride(), all.x.begin() + (t + 1) * all.stride());
    const auto result = kernels.check(0, fmt::format("token {}", t),
                                      [&](CallMemory& memory) { return one.args(memory, 0, key.channels); });
    for (int c = 0; c < key.channels; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      ASSERT_EQ(result->view<float>("out")[channel],
                at_once->view<float>("out")[static_cast<std::size_t>(t * all.stride()) + channel]);
    }
    const auto state = result->view<float>("state");
    one.state.assign(state.begin(), state.end());
  }
  EXPECT_TRUE(std::ranges::equal(one.state, at_once->view<float>("state")));
}

INSTANTIATE_TEST_SUITE_P(Grid, ConvOfTaps, testing::Values(1, 2, 3, 4, 5), testing::PrintToStringParamName());

TEST(RandomShapes, Conv) {
  for_random_shapes([](RandomShape& shape) {
    const ConvKey key{shape.between(1, 600), shape.between(2, 9)};
    Kernels kernels(key);
    const auto [begin, end] = shape.slice(key.channels);
    check(kernels, {key, shape.between(1, 12), shape.between(0, 20)}, begin, end);
  });
}

}  // namespace
}  // namespace llamajit::test::conv_test
