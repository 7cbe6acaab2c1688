#include <algorithm>
#include <array>
#include <bit>
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

namespace llamajit::test::attention_test {
namespace {

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

int first_seen(const AttentionKey& key, const Call& call) {
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
Inputs random_inputs(const AttentionKey& key, const Call& call) {
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

AttentionArgs make(const AttentionKey& key, const Call& call, const Inputs& inputs, CallMemory& memory) {
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
void expect_head_is_right(const AttentionKey& key, const Call& call, const Inputs& inputs,
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

std::unique_ptr<CallMemory> check_against_twin(Kernels<AttentionKey>& kernels, const AttentionKey& key,
                                               const Call& call, const Inputs& inputs) {
  return kernels.check(
      static_cast<std::uint64_t>(call.position),
      fmt::format("{} kv heads, position {}, magnitude {}", call.n_kv_heads, call.position, call.magnitude),
      [&](CallMemory& memory) { return make(key, call, inputs, memory); });
}

void check(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call) {
  const Inputs inputs = random_inputs(key, call);
  const auto result = check_against_twin(kernels, key, call, inputs);
  for (int head = 0; head < call.n_kv_heads * key.group; ++head)
    expect_head_is_right(key, call, inputs, *result, head);
}

// The twin's result for one token's queries.
std::vector<float> out_of_twin(const AttentionKey& key, const Call& call, const float* q, KvPages& kv,
                               const std::vector<float>& sinks = {}, const std::vector<float>& slopes = {}) {
  std::vector<float> out(static_cast<std::size_t>(call.n_kv_heads * key.group * key.head_dim));
  std::vector<float> scratch(static_cast<std::size_t>(key.scratch_floats()));
  Cursor at = kv.cursor(call.position);
  at.own = call.own;
  reference(key, AttentionArgs{q, out.data(), scratch.data(), &at, kv.keys_at(), kv.values_at(),
                               call.n_kv_heads, sinks.data(), slopes.data()});
  return out;
}

void expect_same_bits(const std::string& what, std::span<const float> actual,
                      const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(actual[i]), std::bit_cast<std::uint32_t>(expected[i]))
        << what << " [" << i << "]";
  }
}

// Several tokens at once: each tier gives what the twin gives, and the twin what it gives token by token,
// there with `alone`, which differ where no token looks.
void check_tokens(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call,
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
void check_tokens(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call,
                  const Inputs& inputs) {
  check_tokens(kernels, key, call, inputs, inputs.kv);
}

class Attention : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  AttentionKey key(int group, bool one_range) const {
    return {std::get<0>(GetParam()), std::get<1>(GetParam()), group, one_range};
  }
};

TEST_P(Attention, EveryGroupAndPosition) {
  for (int group : {1, 2, 3, 4, 8, 9}) {
    const AttentionKey shape = key(group, true);
    Kernels kernels(shape);
    for (int position : {0, 1, 2, 15, 16, 17, 31, 100, 111, 255}) {
      if (kSanitized && position > 40 && group % 4 != 1) continue;
      check(kernels, shape, {2, position});
    }
  }
}

TEST_P(Attention, KvHeadsAndSharpness) {
  const AttentionKey shape = key(2, true);
  Kernels kernels(shape);
  for (int n_kv_heads : {1, 3, 4, 5, 9}) check(kernels, shape, {n_kv_heads, 33});
  for (float magnitude : {0.0F, 1e-6F, 30.0F, 1000.0F}) check(kernels, shape, {1, 40, magnitude});
}

// The longer texts take their time in the twins: fewer lengths of heads.
class AttentionRanges : public Attention {};

// Around the borders of ranges; sharp ones let single positions outweigh whole ranges.
TEST_P(AttentionRanges, EveryGroupAndPosition) {
  for (int group : {1, 3, 8}) {
    const AttentionKey shape = key(group, false);
    Kernels kernels(shape);
    for (int position : {0, 254, 255, 256, 257, 511, 512, 513, 527}) {
      if (kSanitized && group != 1 && position != 513) continue;
      check(kernels, shape, {1, position});
    }
    for (float magnitude : {0.0F, 30.0F, 1000.0F}) check(kernels, shape, {2, 516, magnitude});
  }
}

// Queries and results of a token lie behind each other, and other things between tokens.
AttentionKey with_tokens(AttentionKey key, int tokens, int n_kv_heads) {
  key.tokens = tokens;
  key.token_stride = n_kv_heads * key.group * key.head_dim + 5;
  return key;
}

TEST_P(AttentionRanges, SeveralTokens) {
  for (const auto& [group, tokens] :
       {std::pair{1, 2}, {1, 8}, {1, 16}, {2, 4}, {3, 2}, {4, 2}, {5, 4}, {8, 2}}) {
    const AttentionKey shape = with_tokens(key(group, false), tokens, 1);
    if (kSanitized && group * tokens != 8) continue;
    Kernels kernels(shape);
    for (const int position : {0, 32 - tokens, 256 - tokens, 256, 528 - tokens}) {
      if (kSanitized && position != 256) continue;
      const Call call{1, position};
      check_tokens(kernels, shape, call, random_inputs(shape, call));
      if (HasFatalFailure()) return;
    }
  }
}

// All see the same positions, of which there may be any number.
TEST_P(AttentionRanges, SeveralTokensOfOneText) {
  for (const auto& [group, tokens] : {std::pair{1, 8}, {2, 4}, {4, 2}}) {
    AttentionKey shape = with_tokens(key(group, false), tokens, 1);
    shape.causal = false;
    if (kSanitized && group * tokens != 8) continue;
    Kernels kernels(shape);
    for (const int position : {0, 5, 255, 256, 519}) {
      if (kSanitized && position != 256) continue;
      const Call call{1, position};
      check_tokens(kernels, shape, call, random_inputs(shape, call));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Attention, SeveralTokensOfOneTextAndKvHeads) {
  AttentionKey shape = with_tokens(key(2, true), 4, 3);
  shape.causal = false;
  shape.sinks = true;
  Kernels kernels(shape);
  for (const int position : {0, 13, 62, 255}) {
    const Call call{3, position};
    check_tokens(kernels, shape, call, random_inputs(shape, call));
    if (HasFatalFailure()) return;
  }
}

TEST_P(Attention, SeveralTokensAndKvHeads) {
  const AttentionKey shape = with_tokens(key(2, true), 4, 3);
  Kernels kernels(shape);
  for (const int position : {0, 12, 16, 60}) {
    const Call call{3, position};
    check_tokens(kernels, shape, call, random_inputs(shape, call));
    if (HasFatalFailure()) return;
  }
}

// A window that reaches back to the beginning changes nothing.
void check_window(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call, Inputs& inputs) {
  const auto result = check_against_twin(kernels, key, call, inputs);
  for (int head = 0; head < call.n_kv_heads * key.group; ++head)
    expect_head_is_right(key, call, inputs, *result, head);
  if (key.window <= call.position) return;
  AttentionKey all = key;
  all.window = 0;
  expect_same_bits(fmt::format("{} at {}", kernel_name(key), call.position), result->view<float>("out"),
                   out_of_twin(all, call, inputs.q.data(), inputs.kv));
}

TEST_P(AttentionRanges, WindowsInOneRange) {
  for (const auto& [window, group] : {std::pair{1, 1}, {15, 2}, {16, 8}, {17, 1}, {100, 3}, {256, 1}}) {
    if (kSanitized && window != 100) continue;
    AttentionKey shape = key(group, true);
    shape.window = window;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {3, 255});
    for (const int position : {0, 20, window - 1, window, 255}) {
      if (position < jit::kAttentionRange) check_window(kernels, shape, {3, position}, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttentionRanges, Windows) {
  for (const auto& [window, group] :
       {std::pair{1, 3}, {15, 1}, {16, 3}, {17, 8}, {100, 1}, {256, 3}, {257, 1}, {600, 3}}) {
    if (kSanitized && window != 100) continue;
    AttentionKey shape = key(group, false);
    shape.window = window;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {1, 700});
    for (const int position : {window - 1, window, window + 14, 255, 256, 271, 511, 700}) {
      check_window(kernels, shape, {1, position}, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

// K/V heads side by side and one by one, as the text grows beyond a range.
TEST_P(AttentionRanges, WindowsOfSeveralHeads) {
  AttentionKey shape = key(2, false);
  shape.window = 40;
  Kernels kernels(shape);
  Inputs inputs = random_inputs(shape, {5, 270});
  for (const int position : {10, 200, 255, 256, 270}) check_window(kernels, shape, {5, position}, inputs);
}

// An encoder's window: as one of so many positions that ends with the last one seen, which may be the text's.
TEST_P(AttentionRanges, WindowsAroundTheirTokens) {
  for (const auto& [one_range, window, last] :
       {std::tuple{true, 1, 9}, {true, 9, 40}, {true, 65, 255}, {false, 33, 300}, {false, 301, 700}}) {
    if (kSanitized && window != 65 && window != 301) continue;
    AttentionKey shape = key(one_range ? 2 : 3, one_range);
    shape.window = window;
    shape.causal = false;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {3, last});
    for (const int own :
         {0, 5, window / 2, window / 2 + 1, window / 2 + 16, last - window / 2, last - 1, last}) {
      if (own > last || own < 0) continue;
      const Call call{3, std::min(own + window / 2, last), 1, own};
      const auto result = check_against_twin(kernels, shape, call, inputs);
      for (int head = 0; head < call.n_kv_heads * shape.group; ++head) {
        expect_head_is_right(shape, call, inputs, *result, head);
      }
      const int first = std::max(own - window / 2, 0);
      EXPECT_EQ(first_seen(shape, call), first);
      AttentionKey ends = shape;
      ends.window = call.position - first + 1;
      ends.causal = true;
      expect_same_bits(fmt::format("{} of {} in {}", kernel_name(shape), own, last),
                       result->view<float>("out"), out_of_twin(ends, call, inputs.q.data(), inputs.kv));
      if (HasFatalFailure()) return;
    }
  }
}

// ALiBi, a token alone and several behind each other, which have the bits of each alone.
TEST_P(AttentionRanges, SlopesAroundTheirTokens) {
  for (const auto& [one_range, group, tokens, last] : {std::tuple{true, 1, 1, 40},
                                                       {true, 2, 4, 255},
                                                       {false, 3, 1, 300},
                                                       {false, 1, 8, 700},
                                                       {false, 4, 2, 513}}) {
    if (kSanitized && last > 300) continue;
    AttentionKey shape = tokens > 1 ? with_tokens(key(group, one_range), tokens, 3) : key(group, one_range);
    shape.causal = false;
    shape.slopes = true;
    AttentionKey one = shape;
    one.tokens = 1;
    one.token_stride = 0;
    Kernels kernels(shape);
    Inputs inputs = random_inputs(shape, {3, last});
    for (const int own : {0, 1, 17, last / 2, last - tokens + 1}) {
      const Call call{3, last, 1, own};
      const auto result = check_against_twin(kernels, shape, call, inputs);
      for (int head = 0; tokens == 1 && head < call.n_kv_heads * group; ++head) {
        expect_head_is_right(shape, call, inputs, *result, head);
      }
      for (int t = 0; t < tokens; ++t) {
        const auto from = static_cast<std::size_t>(t * shape.token_stride);
        const Call token{3, last, 1, own + t};
        const std::vector<float> expected =
            out_of_twin(one, token, &inputs.q[from], inputs.kv, {}, inputs.slopes);
        expect_same_bits(fmt::format("{} at {}, token {}", kernel_name(shape), own, t),
                         result->view<float>("out").subspan(from, expected.size()), expected);
      }
      if (HasFatalFailure()) return;
    }
  }
}

// Pages as they are where another text had them before, and NaNs but where a weight of zero meets a value.
KvPages with_others_in(const KvPages& pages, int first, int last) {
  KvPages spoiled = pages;
  const int first_group = first / jit::kLanes * jit::kLanes;
  const auto behind = static_cast<int>(jit::round_up(last + 1, jit::kLanes));
  const std::vector<float> others(static_cast<std::size_t>(pages.layout().head_dim), -12345.0F);
  for (int pos = 0; pos < pages.positions(); ++pos) {
    if (pos >= first && pos <= last) continue;
    spoiled.spoil_key(pos);
    if (pos < first_group || pos >= behind) {
      spoiled.spoil_value(pos);
    } else {
      for (int head = 0; head < pages.heads(); ++head) spoiled.write_value(head, pos, others.data());
    }
  }
  return spoiled;
}

TEST_P(AttentionRanges, WhatIsNotSeenDoesNotCount) {
  for (const auto& [window, one_range] :
       {std::pair{0, true}, {1, true}, {40, true}, {0, false}, {40, false}, {256, false}, {300, false}}) {
    AttentionKey shape = key(2, one_range);
    shape.window = window;
    Kernels kernels(shape);
    for (const int position : one_range ? std::vector{0, 38, 100} : std::vector{255, 260, 515}) {
      if (kSanitized && position != 260) continue;
      const Call call{2, position};
      const Inputs inputs = random_inputs(shape, call);
      KvPages alone = inputs.kv;
      const auto result = check_against_twin(
          kernels, shape, call,
          {inputs.q, with_others_in(inputs.kv, jit::first_seen(position, window), position), {}});
      expect_same_bits(fmt::format("{} at {}", kernel_name(shape), position), result->view<float>("out"),
                       out_of_twin(shape, call, inputs.q.data(), alone));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttentionRanges, WhatSeveralTokensDoNotSeeDoesNotCount) {
  const AttentionKey shape = with_tokens(key(2, false), 4, 1);
  Kernels kernels(shape);
  for (const int position : {0, 20, 264}) {
    const Call call{1, position};
    const Inputs inputs = random_inputs(shape, call);
    check_tokens(kernels, shape, call,
                 {inputs.q, with_others_in(inputs.kv, 0, position + shape.tokens - 1), {}}, inputs.kv);
    if (HasFatalFailure()) return;
  }
}

// Under the sanitizers some of them: twins take most of the time.
std::vector<int> head_dims(std::vector<int> all) {
  if (kSanitized) std::erase_if(all, [](int n) { return n != 6 && n != 48 && n != 80; });
  return all;
}

std::string case_name(const testing::TestParamInfo<std::tuple<ElementType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

INSTANTIATE_TEST_SUITE_P(Grid, Attention,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::ValuesIn(head_dims({2, 4, 6, 8, 16, 20, 32, 44, 48, 64, 80,
                                                                       96, 128, 256}))),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Grid, AttentionRanges,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::ValuesIn(head_dims({6, 8, 44, 48, 64, 80, 128}))),
                         case_name);

TEST(Attention, LongTexts) {
  for (const int position : {239, 240, 256, 270, 1023, 1024}) {
    const AttentionKey key{ElementType::f32, 32, 3, false};
    Kernels kernels(key);
    check(kernels, key, {2, position});
  }
}

// Scales other than by the heads' size, and soft caps, that some scores reach.
TEST(AttentionScores, ScaledAndCapped) {
  for (const ElementType type : kKvTypes) {
    for (const auto& [group, one_range] : {std::pair{1, true}, {3, true}, {2, false}, {8, false}}) {
      for (const jit::ScoreKey scores : {jit::ScoreKey{0.07F, 0}, {0, 2.0F}, {1.5F, 50.0F}}) {
        AttentionKey shape{.type = type, .head_dim = 48, .group = group, .one_range = one_range};
        shape.scores = scores;
        Kernels kernels(shape);
        for (const int position : {0, 15, 16, 100, one_range ? 255 : 300}) {
          check(kernels, shape, {2, position, 10});
          if (HasFatalFailure()) return;
        }
        AttentionKey tokens = with_tokens(shape, 4, 1);
        Kernels several(tokens);
        check_tokens(several, tokens, {1, 100}, random_inputs(tokens, {1, 100}));
      }
    }
  }
}

// Sinks below the scores, among them, and far above.
TEST(AttentionSinks, TakeTheirShare) {
  for (const ElementType type : kKvTypes) {
    for (const auto& [group, one_range, window] :
         {std::tuple{1, true, 0}, {3, true, 40}, {2, false, 0}, {8, false, 0}, {8, false, 128}}) {
      AttentionKey shape{.type = type, .head_dim = 44, .group = group, .one_range = one_range};
      shape.window = window;
      shape.sinks = true;
      Kernels kernels(shape);
      for (const int position : {0, 15, 100, one_range ? 255 : 300}) {
        for (const int n_kv_heads : {1, 3, 9}) check(kernels, shape, {n_kv_heads, position, 4});
        if (HasFatalFailure()) return;
      }
      if (window > 0) continue;
      AttentionKey tokens = with_tokens(shape, 4, 2);
      Kernels several(tokens);
      for (const int position : {0, 100, one_range ? 200 : 512}) {
        check_tokens(several, tokens, {2, position}, random_inputs(tokens, {2, position}));
      }
    }
  }
}

// A position that a token must not see is weighted with zero. Zeros have a sign: here every product rounds to -0, and a
// later position's adds +0. The contract's last step keeps that from showing.
TEST(Attention, LaterTokensDoNotShowInAZerosSign) {
  constexpr float kTiny = -1e-45F;  // times less than a half: -0
  for (const auto& [group, tokens] : {std::pair{1, 8}, {2, 4}, {4, 2}, {8, 2}}) {
    const AttentionKey key = with_tokens({ElementType::f32, 20, group, false}, tokens, 1);
    Kernels kernels(key);
    for (const int position : {16, 256, 512}) {
      const Call call{1, position, 0};
      Inputs inputs = random_inputs(key, call);
      for (int pos = 0; pos < inputs.kv.positions(); ++pos) {
        const std::vector<float> values(20, pos < position + tokens - 1 ? kTiny : 1.0F);
        inputs.kv.write_value(0, pos, values.data());
      }
      check_tokens(kernels, key, call, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace llamajit::test::attention_test
