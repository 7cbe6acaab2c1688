// Attention beside its twin, for every type of keys and values and length of heads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_pages.h"
#include "tests/support/kv_values.h"

namespace llamajit::test::attention_check {

using jit::AttentionArgs;
using jit::AttentionKey;
using jit::Cursor;
using jit::ElementType;
using jit::KvLayout;

struct Call {
  int n_kv_heads;
  int position;         // of the first token
  float magnitude = 1;  // of q; larger ones make the softmax sharper
  int own = 0;          // of a key that is not causal
};

inline int first_seen(const AttentionKey& key, const Call& call) {
  return jit::first_seen(key, Cursor{.pos = call.position, .own = call.own});
}

// Every position of the pages holds numbers, also those behind the call's, as they do where a page had
// another text's before; they must not count.
struct Inputs {
  std::vector<float> q;
  KvPages kv;
  std::vector<float> sinks;
  std::vector<float> slopes{};
};
inline Inputs random_inputs(const AttentionKey& key, const Call& call) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(call.position));
  const int n_floats = (key.tokens - 1) * key.token_stride + call.n_kv_heads * key.group * key.head_dim;
  auto q = source.random_floats(static_cast<std::size_t>(n_floats), -call.magnitude, call.magnitude);
  auto kv = KvPages::random(KvLayout(key), call.n_kv_heads, call.position + key.tokens, source);
  std::vector<float> sinks;
  if (key.sinks) {
    const auto heads = static_cast<std::size_t>(call.n_kv_heads * key.group);
    sinks = source.random_floats(heads, -5 * call.magnitude, 5 * call.magnitude);
  }
  std::vector<float> slopes;
  if (key.slopes)
    slopes = source.random_floats(static_cast<std::size_t>(call.n_kv_heads * key.group), -0.5F, 0);
  return {std::move(q), std::move(kv), std::move(sinks), std::move(slopes)};
}

inline AttentionArgs make(const AttentionKey& key, const Call& call, const Inputs& inputs,
                          CallMemory& memory) {
  AttentionArgs args{};
  args.q = memory.copy_of("q", inputs.q);
  args.out = memory.allocate<float>("out", inputs.q.size());
  args.scratch = memory.scratch("scratch", static_cast<std::size_t>(key.scratch_floats()));
  Cursor at = inputs.kv.place(memory, "text", call.position, first_seen(key, call));
  at.own = call.own;
  args.at = memory.addresses("at", std::vector{at});
  args.keys_at = inputs.kv.keys_at();
  args.values_at = inputs.kv.values_at();
  args.n_kv_heads = call.n_kv_heads;
  if (key.sinks) args.sinks = memory.copy_of("sinks", inputs.sinks);
  if (key.slopes) args.slopes = memory.copy_of("slopes", inputs.slopes);
  return args;
}

// One query head in double precision.
inline void expect_head_is_right(const AttentionKey& key, const Call& call, const Inputs& inputs,
                                 const CallMemory& result, int head) {
  const auto dim = static_cast<std::size_t>(key.head_dim);
  const KvLayout layout(key);
  const auto q = result.view<float>("q").subspan(static_cast<std::size_t>(head) * dim, dim);
  const int first = first_seen(key, call);
  const auto k = [&](std::size_t p, std::size_t d) {
    return inputs.kv.key(head / key.group, first + static_cast<int>(p), static_cast<int>(d));
  };
  const auto v = [&](std::size_t p, std::size_t d) {
    return inputs.kv.value(head / key.group, first + static_cast<int>(p), static_cast<int>(d));
  };
  const auto n = static_cast<std::size_t>(call.position - first) + 1;
  std::vector<double> weights(n);
  double score_error = 0, cap_error = 0, bias_error = 0, largest = -1e300, sum = 0;
  for (std::size_t p = 0; p < n; ++p) {
    double norm = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const double term = double{q[d]} * k(p, d) * key.scores.factor(key.head_dim);
      weights[p] += term;
      norm += std::abs(term);
    }
    score_error = std::max(score_error, (key.head_dim / 2 + layout.blocks() + 6) * kEps * norm);
    if (const double cap = key.scores.cap; cap > 0) {
      weights[p] = cap * std::tanh(weights[p] / cap);
      cap_error = 8 * kEps * cap;
    }
    if (key.slopes) {
      const double distance = std::abs(first + static_cast<double>(p) - call.own);
      const double bias = distance * double{inputs.slopes[static_cast<std::size_t>(head)]};
      weights[p] += bias;
      bias_error = std::max(bias_error, 2 * kEps * (std::abs(bias) + std::abs(weights[p])));
    }
    largest = std::max(largest, weights[p]);
  }
  if (key.sinks) largest = std::max(largest, double{inputs.sinks[static_cast<std::size_t>(head)]});
  for (double& w : weights) sum += w = std::exp(w - largest);
  if (key.sinks) sum += std::exp(double{inputs.sinks[static_cast<std::size_t>(head)]} - largest);
  std::vector<double> expected(dim), bounds(dim);
  // Errors of the scores enter as factors of the weights, above and below the fraction.
  // A weight that would be smaller than every normal float is the smallest of these.
  const double relative = 4 * (score_error + cap_error + bias_error) + (static_cast<double>(n) + 41) * kEps;
  for (std::size_t d = 0; d < dim; ++d) {
    for (std::size_t p = 0; p < n; ++p) {
      expected[d] += weights[p] / sum * v(p, d);
      bounds[d] += (weights[p] / sum * relative + 0x1p-125) * std::abs(v(p, d));
    }
  }
  expect_within(fmt::format("{}, position {}, head {}", kernel_name(key), call.position, head),
                result.view<float>("out").subspan(static_cast<std::size_t>(head) * dim, dim), expected,
                bounds);
}

inline std::unique_ptr<CallMemory> check_against_twin(Kernels<AttentionKey>& kernels, const AttentionKey& key,
                                                      const Call& call, const Inputs& inputs) {
  return kernels.check(
      static_cast<std::uint64_t>(call.position),
      fmt::format("{} kv heads, position {}, magnitude {}", call.n_kv_heads, call.position, call.magnitude),
      [&](CallMemory& memory) { return make(key, call, inputs, memory); });
}

inline void check(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call) {
  const Inputs inputs = random_inputs(key, call);
  const auto result = check_against_twin(kernels, key, call, inputs);
  for (int head = 0; head < call.n_kv_heads * key.group; ++head)
    expect_head_is_right(key, call, inputs, *result, head);
}

// The twin's result for one token's queries.
inline std::vector<float> out_of_twin(const AttentionKey& key, const Call& call, const float* q, KvPages& kv,
                                      const std::vector<float>& sinks = {},
                                      const std::vector<float>& slopes = {}) {
  std::vector<float> out(static_cast<std::size_t>(call.n_kv_heads * key.group * key.head_dim));
  std::vector<float> scratch(static_cast<std::size_t>(key.scratch_floats()));
  Cursor at = kv.cursor(call.position);
  at.own = call.own;
  reference(key, AttentionArgs{q, out.data(), scratch.data(), &at, kv.keys_at(), kv.values_at(),
                               call.n_kv_heads, sinks.data(), slopes.data()});
  return out;
}

inline void expect_same_bits(const std::string& what, std::span<const float> actual,
                             const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(actual[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << what << " [" << i << "]";
  }
}

// Several tokens at once: each tier gives what the twin gives, and the twin what it gives token by token,
// there with `alone`, which differ where no token looks.
inline void check_tokens(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call,
                         const Inputs& inputs, KvPages alone) {
  const auto result = check_against_twin(kernels, key, call, inputs);
  AttentionKey one = key;
  one.tokens = 1;
  one.token_stride = 0;
  one.causal = true;
  for (int t = 0; t < key.tokens; ++t) {
    const auto from = static_cast<std::size_t>(t * key.token_stride);
    const Call token{call.n_kv_heads, call.position + (key.causal ? t : 0)};
    const std::vector<float> expected = out_of_twin(one, token, &inputs.q[from], alone, inputs.sinks);
    expect_same_bits(fmt::format("{} at {}, token {}", kernel_name(key), call.position, t),
                     result->view<float>("out").subspan(from, expected.size()), expected);
  }
}
inline void check_tokens(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call,
                         const Inputs& inputs) {
  check_tokens(kernels, key, call, inputs, inputs.kv);
}

class Attention : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  AttentionKey key(int group, bool one_range) const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), group, one_range};
  }
};

// Queries and results of a token lie behind each other, and other things between tokens.
inline AttentionKey with_tokens(AttentionKey key, int tokens, int n_kv_heads) {
  key.tokens = tokens;
  key.token_stride = n_kv_heads * key.group * key.head_dim + 5;
  return key;
}

// Under the sanitizers some of them: twins take most of the time.
inline std::vector<int> head_dims(std::vector<int> all) {
  if (kSanitized) std::erase_if(all, [](int n) { return n != 6 && n != 48 && n != 80; });
  return all;
}

inline std::string case_name(const testing::TestParamInfo<std::tuple<ElementType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

}  // namespace llamajit::test::attention_check
