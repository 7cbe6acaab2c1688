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
#include "tests/jit/kernels/attention_check.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_pages.h"
#include "tests/support/kv_values.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::attention_test {
namespace {

using namespace attention_check;  // NOLINT(google-build-using-namespace): this file speaks of nothing else
using jit::AttentionArgs;
using jit::AttentionKey;
using jit::Cursor;
using jit::ElementType;
using jit::KvLayout;

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
      if (kSanitized && group == 8) continue;
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

TEST(RandomShapes, Attention) {
  for_random_shapes([](RandomShape& shape) {
    AttentionKey key{shape.pick({ElementType::f32, ElementType::f16, ElementType::bf16, ElementType::q8_0}),
                     2 * shape.between(1, 66), shape.between(1, 9), shape.flag()};
    if (shape.flag()) key.window = shape.between(1, 300);
    if (shape.flag()) key.scores = {shape.pick({0.0F, 0.07F}), shape.pick({0.0F, 30.0F})};
    key.sinks = shape.flag();
    Call call{shape.between(1, 3), shape.between(0, key.one_range ? 200 : 400), shape.pick({1.0F, 30.0F})};
    if (shape.flag()) {
      Kernels kernels(key);
      return check(kernels, key, call);
    }
    key.window = 0;
    key = with_tokens(key, shape.pick({2, 4, 8, 16}), call.n_kv_heads);
    call.position -= call.position % key.tokens;
    Kernels kernels(key);
    check_tokens(kernels, key, call, random_inputs(key, call));
  });
}

}  // namespace
}  // namespace llamajit::test::attention_test
