#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kv_layout.h"
#include "jit/twins/reference.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_values.h"

namespace llamajit::test {
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
};

// Every position of the cache holds numbers, also those after the call's, as they do when a text is begun
// anew; they must not count.
struct Inputs {
  std::vector<float> q;
  PagesOfLayer cache;
};
Inputs random_inputs(const AttentionKey& key, const Call& call, int positions) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(call.position));
  const int n_floats = (key.tokens - 1) * key.token_stride + call.n_kv_heads * key.group * key.head_dim;
  return {source.random_floats(static_cast<std::size_t>(n_floats), -call.magnitude, call.magnitude),
          random_pages(KvLayout(key), call.n_kv_heads, positions, source)};
}

AttentionArgs make(const AttentionKey& key, const Call& call, const Inputs& inputs, CallMemory& memory) {
  AttentionArgs args{};
  args.q = memory.copy_of("q", inputs.q);
  args.out = memory.allocate<float>("out", inputs.q.size());
  args.scratch = memory.scratch("scratch", static_cast<std::size_t>(key.scratch_floats()));
  args.at = cursors({{-1, call.position, table_of(inputs.cache.pages, memory)}}, memory);
  args.keys_at = 0;
  args.values_at = inputs.cache.values_at();
  args.n_kv_heads = call.n_kv_heads;
  return args;
}

// One query head in double precision.
void expect_head_is_right(const AttentionKey& key, const Call& call, Inputs& inputs, const CallMemory& result,
                          int head) {
  const auto dim = static_cast<std::size_t>(key.head_dim);
  const KvLayout layout(key);
  const auto q = result.view<float>("q").subspan(static_cast<std::size_t>(head) * dim, dim);
  const int kv_head = head / key.group;
  const auto first = static_cast<std::size_t>(jit::first_seen(call.position, key.window));
  const auto k = [&](std::size_t i, std::size_t d) {
    const auto pos = static_cast<int>(first + i);
    return key_value(layout, inputs.cache.keys(pos / jit::kKvPage, kv_head), pos % jit::kKvPage,
                     static_cast<int>(d));
  };
  const auto v = [&](std::size_t i, std::size_t d) {
    const auto pos = static_cast<int>(first + i);
    return value_value(layout, inputs.cache.values(pos / jit::kKvPage, kv_head), pos % jit::kKvPage,
                       static_cast<int>(d));
  };
  const auto n = static_cast<std::size_t>(call.position) + 1 - first;
  std::vector<double> weights(n);
  double score_error = 0, largest = -1e300, sum = 0;
  for (std::size_t p = 0; p < n; ++p) {
    double norm = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const double term = double{q[d]} * k(p, d) / std::sqrt(key.head_dim);
      weights[p] += term;
      norm += std::abs(term);
    }
    score_error = std::max(score_error, (key.head_dim / 2 + layout.blocks() + 6) * kEps * norm);
    largest = std::max(largest, weights[p]);
  }
  for (double& w : weights) sum += w = std::exp(w - largest);
  std::vector<double> expected(dim), bounds(dim);
  // Errors of the scores enter as factors of the weights, above and below the fraction.
  // A weight that would be smaller than every normal float is the smallest of these.
  const double relative = 4 * score_error + (static_cast<double>(n) + 41) * kEps;
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

void check(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call, int positions) {
  Inputs inputs = random_inputs(key, call, positions);
  const auto result = check_against_twin(kernels, key, call, inputs);
  for (int head = 0; head < call.n_kv_heads * key.group; ++head)
    expect_head_is_right(key, call, inputs, *result, head);
}

// Several tokens at once: each tier gives what the twin gives, and the twin what it gives token by token.
void check_tokens(Kernels<AttentionKey>& kernels, const AttentionKey& key, const Call& call, Inputs& inputs) {
  const auto result = check_against_twin(kernels, key, call, inputs);
  std::vector<std::byte*> table;
  for (std::vector<std::byte>& page : inputs.cache.pages) table.push_back(page.data());
  const auto together = result->view<float>("out");
  AttentionKey one = key;
  one.tokens = 1;
  one.token_stride = 0;
  std::vector<float> out(inputs.q.size());
  std::vector<float> scratch(static_cast<std::size_t>(one.scratch_floats()));
  for (int t = 0; t < key.tokens; ++t) {
    const Cursor at{-1, call.position + t, table.data()};
    const int from = t * key.token_stride;
    reference(one, AttentionArgs{inputs.q.data() + from, out.data() + from, scratch.data(), &at, 0,
                                 inputs.cache.values_at(), call.n_kv_heads});
    for (int i = from; i < from + call.n_kv_heads * key.group * key.head_dim; ++i) {
      const auto index = static_cast<std::size_t>(i);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(together[index]), std::bit_cast<std::uint32_t>(out[index]))
          << kernel_name(key) << " at " << call.position << ", token " << t << ", [" << i - from << "]";
    }
  }
}

class Attention : public testing::TestWithParam<std::tuple<ElementType, int>> {
 protected:
  AttentionKey key(int group, int positions) const {
    return {.type = std::get<0>(GetParam()),
            .head_dim = std::get<1>(GetParam()),
            .group = group,
            .one_range = positions <= jit::kAttentionRange};
  }
};

TEST_P(Attention, EveryGroupAndPosition) {
  for (int group : {1, 2, 3, 4, 8, 9}) {
    const AttentionKey shape = key(group, 112);
    Kernels kernels(shape);
    for (int position : {0, 1, 2, 15, 16, 17, 31, 100, 111}) {
      if (kSanitized && position > 40 && group % 4 != 1) continue;
      check(kernels, shape, {2, position}, 112);
    }
  }
}

TEST_P(Attention, KvHeadsAndSharpness) {
  const AttentionKey shape = key(2, 112);
  Kernels kernels(shape);
  for (int n_kv_heads : {1, 3, 4, 5, 9}) check(kernels, shape, {n_kv_heads, 33}, 112);
  for (float magnitude : {0.0F, 1e-6F, 30.0F, 1000.0F}) check(kernels, shape, {1, 40, magnitude}, 112);
}

// The longer texts take their time in the twins: fewer lengths of heads.
class AttentionRanges : public Attention {};

// Around the borders of ranges; sharp ones let single positions outweigh whole ranges.
TEST_P(AttentionRanges, EveryGroupAndPosition) {
  for (int group : {1, 3, 8}) {
    const AttentionKey shape = key(group, 528);
    Kernels kernels(shape);
    for (int position : {254, 255, 256, 257, 511, 512, 513, 527}) {
      if (kSanitized && group != 1 && position != 513) continue;
      check(kernels, shape, {1, position}, 528);
    }
    for (float magnitude : {0.0F, 30.0F, 1000.0F}) check(kernels, shape, {2, 516, magnitude}, 528);
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
    const AttentionKey shape = with_tokens(key(group, 528), tokens, 1);
    if (kSanitized && group * tokens != 8) continue;
    Kernels kernels(shape);
    for (const int position : {0, 32 - tokens, 256 - tokens, 256, 528 - tokens}) {
      if (kSanitized && position != 256) continue;
      const Call call{1, position};
      Inputs inputs = random_inputs(shape, call, 528);
      check_tokens(kernels, shape, call, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Attention, SeveralTokensAndKvHeads) {
  const AttentionKey shape = with_tokens(key(2, 64), 4, 3);
  Kernels kernels(shape);
  for (const int position : {0, 12, 16, 60}) {
    const Call call{3, position};
    Inputs inputs = random_inputs(shape, call, 64);
    check_tokens(kernels, shape, call, inputs);
    if (HasFatalFailure()) return;
  }
}

std::string case_name(const testing::TestParamInfo<std::tuple<ElementType, int>>& shape) {
  const auto [type, head_dim] = shape.param;
  return fmt::format("{}_{}", name_of(type), head_dim);
}

INSTANTIATE_TEST_SUITE_P(Grid, Attention,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::Values(2, 4, 6, 8, 16, 20, 32, 44, 48, 64, 80, 96, 128,
                                                          256)),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Grid, AttentionRanges,
                         testing::Combine(testing::ValuesIn(kKvTypes),
                                          testing::Values(6, 8, 44, 48, 64, 80, 128)),
                         case_name);

TEST(Attention, ShortestAndLongCaches) {
  for (int positions : {16, 32, 240, 256, 272, 1024}) {
    const AttentionKey key{ElementType::f32, 32, 3, positions <= jit::kAttentionRange};
    Kernels kernels(key);
    for (int position : {0, positions / 2, positions - 1}) check(kernels, key, {2, position}, positions);
  }
}

// A token that must not be seen is weighted with zero. Zeros have a sign: here every product
// rounds to -0, and a later position's adds +0. The contract's last step keeps that from showing.
TEST(Attention, LaterTokensDoNotShowInAZerosSign) {
  constexpr float kTiny = -1e-45F;  // times less than a half: -0
  for (const auto& [group, tokens] : {std::pair{1, 8}, {2, 4}, {4, 2}, {8, 2}}) {
    const AttentionKey key = with_tokens({ElementType::f32, 20, group, false}, tokens, 1);
    Kernels kernels(key);
    for (const int position : {16, 256, 512}) {
      const Call call{1, position, 0};
      Inputs inputs = random_inputs(key, call, 528);
      const KvLayout layout(key);
      for (int pos = 0; pos < 528; ++pos) {
        const std::vector<float> values(20, pos < position + tokens - 1 ? kTiny : 1.0F);
        layout.write_value(inputs.cache.values(pos / jit::kKvPage, 0), pos % jit::kKvPage, values.data());
      }
      check_tokens(kernels, key, call, inputs);
      if (HasFatalFailure()) return;
    }
  }
}

// A window, around the ends of groups of sixteen and of ranges. What lies before its group of sixteen is not
// even read: it is no number here, as are the keys behind the token's position.
TEST_P(AttentionRanges, Windows) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const int window : {1, 15, 16, 17, 100, 256, 257, 400}) {
    for (const bool one_range : {true, false}) {
      AttentionKey shape = key(2, one_range ? 256 : 528);
      shape.window = window;
      Kernels kernels(shape);
      const std::vector<int> positions =
          one_range ? std::vector{0, 15, 100, 255} : std::vector{31, 256, 272, 411, 527};
      for (const int position : positions) {
        if (kSanitized && position % 16 == 15) continue;
        const Call call{2, position};
        Inputs inputs = random_inputs(shape, call, one_range ? 256 : 528);
        check_against_twin(kernels, shape, call, inputs);
        const std::vector<float> none(static_cast<std::size_t>(shape.head_dim), kNaN);
        if (shape.type != ElementType::q8_0) {
          for (int pos = 0; pos < jit::first_seen(position, window) / jit::kLanes * jit::kLanes; ++pos) {
            for (int head = 0; head < 2; ++head) {
              inputs.cache.layout.write_key(inputs.cache.keys(pos / jit::kKvPage, head), pos % jit::kKvPage,
                                            none.data());
              inputs.cache.layout.write_value(inputs.cache.values(pos / jit::kKvPage, head),
                                              pos % jit::kKvPage, none.data());
            }
          }
        }
        const auto result = check_against_twin(kernels, shape, call, inputs);
        for (int head = 0; head < 4; ++head) expect_head_is_right(shape, call, inputs, *result, head);
      }
    }
  }
}

}  // namespace
}  // namespace llamajit::test
