#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::delta_test {
namespace {

using jit::Cursor;
using jit::DeltaArgs;
using jit::DeltaKey;

constexpr std::size_t kBefore = 20;  // floats of other layers, which lie before the state

std::size_t size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

// What a call is about. Tokens' rows have other things between them.
struct Delta {
  DeltaKey key;
  int n_tokens;
  std::vector<float> q, k, v, decay, rate, state;

  Delta(const DeltaKey& delta_key, int tokens) : key(delta_key), n_tokens(tokens) {
    CallMemory source(Edge::back, static_cast<std::uint64_t>(key.key_dim + key.value_dim));
    const auto unit =
        1.7F / std::sqrt(static_cast<float>(key.key_dim));  // of a vector whose length is about 1
    q = source.random_floats(size(tokens) * size(qk_stride()), -unit, unit);
    k = source.random_floats(size(tokens) * size(qk_stride()), -unit, unit);
    v = source.random_floats(size(tokens) * size(v_stride()), -2, 2);
    decay = source.random_floats(size(tokens) * size(gate_stride()), 0.3F, 1);
    rate = source.random_floats(size(tokens) * size(gate_stride()), 0, 1);
    state = source.random_floats(kBefore + size(key.state_floats()));
  }

  int qk_stride() const { return 2 * key.key_dim + 1; }
  int v_stride() const { return key.value_dim + 3; }
  int gate_stride() const { return 5; }
  int out_stride() const { return key.value_dim + 2; }

  DeltaArgs args(CallMemory& memory) const {
    DeltaArgs args{};
    args.q = memory.copy_of("q", q);
    args.k = memory.copy_of("k", k);
    args.v = memory.copy_of("v", v);
    args.decay = memory.copy_of("decay", decay);
    args.rate = memory.copy_of("rate", rate);
    args.out = memory.allocate<float>("out", size(n_tokens) * size(out_stride()));
    Cursor at{-1, 7};
    at.state = reinterpret_cast<std::byte*>(memory.copy_of("state", state));
    args.at = memory.addresses("at", std::vector{at});
    args.state_at = kBefore * sizeof(float);
    args.n_tokens = n_tokens;
    args.qk_stride = qk_stride();
    args.v_stride = v_stride();
    args.gate_stride = gate_stride();
    args.out_stride = out_stride();
    return args;
  }

  // Token t alone, from another state.
  Delta token(int t, const std::vector<float>& before) const {
    Delta one(key, 1);
    const auto row = [&](const std::vector<float>& all, int stride) {
      return std::vector<float>(all.begin() + t * stride, all.begin() + (t + 1) * stride);
    };
    one.q = row(q, qk_stride());
    one.k = row(k, qk_stride());
    one.v = row(v, v_stride());
    one.decay = row(decay, gate_stride());
    one.rate = row(rate, gate_stride());
    one.state = before;
    return one;
  }
};

// One column of S in double precision, and what it were if all were added that is subtracted: rounding errors
// are in proportion to that.
struct Column {
  std::vector<double> values, magnitudes;

  // Returns out and its magnitude.
  std::pair<double, double> recur(const Delta& delta, int t, int j) {
    const double decay = delta.decay[size(t * delta.gate_stride())];
    const double rate = delta.rate[size(t * delta.gate_stride())];
    const double v = j < delta.key.value_dim ? delta.v[size(t * delta.v_stride() + j)] : 0;
    const float* k = &delta.k[size(t * delta.qk_stride())];
    const float* q = &delta.q[size(t * delta.qk_stride())];
    double m = 0, of_m = 0, out = 0, of_out = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] *= decay;
      magnitudes[i] *= decay;
      m += k[i] * values[i];
      of_m += std::abs(k[i]) * magnitudes[i];
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] += k[i] * (v - m) * rate;
      magnitudes[i] += std::abs(k[i]) * (std::abs(v) + of_m) * rate;
      out += q[i] * values[i];
      of_out += std::abs(q[i]) * magnitudes[i];
    }
    return {out, of_out};
  }
};

// Of all columns that there are, those beyond value_dim included.
void expect_is_right(const Delta& delta, const CallMemory& result) {
  const auto state = result.view<float>("state"), out = result.view<float>("out");
  const double bound = delta.n_tokens * (2 * delta.key.key_dim + 8) * kEps;
  std::vector<float> actual;
  std::vector<double> expected, bounds;
  const auto compare = [&](float value, double truth, double magnitude) {
    actual.push_back(value);
    expected.push_back(truth);
    bounds.push_back(bound * magnitude);
  };
  for (int j = 0; j < jit::round_up(delta.key.value_dim, jit::kLanes); ++j) {
    Column column;
    for (int i = 0; i < delta.key.key_dim; ++i) {
      column.values.push_back(delta.state[kBefore + size(delta.key.place(i, j))]);
      column.magnitudes.push_back(std::abs(column.values.back()));
    }
    for (int t = 0; t < delta.n_tokens; ++t) {
      const auto [truth, magnitude] = column.recur(delta, t, j);
      if (j < delta.key.value_dim) compare(out[size(t * delta.out_stride() + j)], truth, magnitude);
    }
    for (int i = 0; i < delta.key.key_dim; ++i) {
      compare(state[kBefore + size(delta.key.place(i, j))], column.values[size(i)],
              column.magnitudes[size(i)]);
    }
  }
  expect_within(fmt::format("{}, {} tokens", kernel_name(delta.key), delta.n_tokens), actual, expected,
                bounds);
  EXPECT_TRUE(std::ranges::equal(state.first(kBefore), std::span(delta.state).first(kBefore)));
}

class DeltaOfDims : public testing::TestWithParam<std::tuple<int, int>> {
 protected:
  static DeltaKey key() { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }
};

TEST_P(DeltaOfDims, IsRight) {
  Kernels kernels(key());
  for (const int n_tokens : {1, 2, 5}) {
    const Delta delta(key(), n_tokens);
    const auto result = kernels.check(0, fmt::format("{} tokens", n_tokens),
                                      [&](CallMemory& memory) { return delta.args(memory); });
    expect_is_right(delta, *result);
  }
}

TEST_P(DeltaOfDims, TokensOneByOneGiveTheSameBits) {
  Kernels kernels(key());
  const Delta all(key(), 5);
  const auto at_once = kernels.check(0, "at once", [&](CallMemory& memory) { return all.args(memory); });
  std::vector<float> state = all.state;
  for (int t = 0; t < all.n_tokens; ++t) {
    const Delta one = all.token(t, state);
    const auto result =
        kernels.check(0, fmt::format("token {}", t), [&](CallMemory& memory) { return one.args(memory); });
    const auto expected =
        at_once->view<float>("out").subspan(size(t * all.out_stride()), size(key().value_dim));
    EXPECT_TRUE(std::ranges::equal(result->view<float>("out").first(expected.size()), expected)) << t;
    const auto after = result->view<float>("state");
    state.assign(after.begin(), after.end());
  }
  EXPECT_TRUE(std::ranges::equal(state, at_once->view<float>("state")));
}

INSTANTIATE_TEST_SUITE_P(Grid, DeltaOfDims,
                         testing::Combine(testing::Values(1, 3, 16, 20, 64, 128),
                                          testing::Values(1, 16, 17, 33, 48, 64, 80, 127, 128)),
                         [](const auto& dims) {
                           return fmt::format("{}x{}", std::get<0>(dims.param), std::get<1>(dims.param));
                         });

// What learns at full rate and forgets nothing, if asked for a key that it has seen, says that one's value.
TEST(Delta, RecallsWhatItHasLearnt) {
  const DeltaKey key{16, 17};
  Kernels kernels(key);
  Delta delta(key, 16);
  std::ranges::fill(delta.state, 0.0F);
  std::ranges::fill(delta.decay, 1.0F);
  std::ranges::fill(delta.rate, 1.0F);
  for (int t = 0; t < delta.n_tokens; ++t) {
    for (int i = 0; i < key.key_dim; ++i) {
      delta.k[size(t * delta.qk_stride() + i)] = i == t ? 1.0F : 0.0F;
      delta.q[size(t * delta.qk_stride() + i)] = i == t / 2 ? 1.0F : 0.0F;
    }
  }
  const auto result = kernels.check(0, "unit keys", [&](CallMemory& memory) { return delta.args(memory); });
  for (int t = 0; t < delta.n_tokens; ++t) {
    for (int j = 0; j < key.value_dim; ++j) {
      ASSERT_EQ(result->view<float>("out")[size(t * delta.out_stride() + j)],
                delta.v[size(t / 2 * delta.v_stride() + j)]);
    }
  }
}

TEST(RandomShapes, Delta) {
  for_random_shapes([](RandomShape& shape) {
    const DeltaKey key{shape.between(1, 128), shape.between(1, 128)};
    Kernels kernels(key);
    const Delta delta(key, shape.between(1, 4));
    expect_is_right(delta, *kernels.check(shape.seed(), "random",
                                          [&](CallMemory& memory) { return delta.args(memory); }));
  });
}

}  // namespace
}  // namespace llamajit::test::delta_test
