// Keys, Args and contracts of attention: whole, in parts that threads share, and their merging.
#pragma once

#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "jit/base/element_type.h"
#include "jit/base/fields.h"
#include "jit/base/lanes.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// For each query head: out = sum over positions p <= at->pos, with a window p > at->pos - window, of
// softmax(q.k[p] / sqrt(head_dim))[p] * v[p]. Query heads of one K/V head are adjacent (GQA,
// arXiv:2305.13245). Values behind at->pos (of several tokens: behind a token's own, up to the last one's), to the next
// multiple of value_ways(), count with a weight of 0, and with a window those of up to fifteen before its first: one that
// is not finite makes NaNs of o. Works through ranges of kAttentionRange positions, each a page of the cache, from that of
// the first position on. In each:
//
//   s = q.k[p] / sqrt(head_dim): sum over head_dim, 2 ways; q8_0: such a sum over the codes of each block,
//   then
//       over blocks in order, acc = fma(sum, scale, acc). The scores of the key may scale them otherwise and
//       cap them (CapKey).
//   m = max s;  w = exp(s - m)
//   l = sum of w: sixteen lanes in order, folded in halves
//   o = sum of w * v[p]: over positions, value_ways() ways; q8_0: w * scale, rounded, times code
//
// Positions of the first range that lie before the window take part as multiples of 16 allow: those before
// the window's first, rounded down to 16, do not; the rest have s = -infinity, and w = 0 in o. The first
// range is copied; every other one is merged, in ascending order (arXiv:1805.02867): with m' = max(m, m_r),
// a = exp(m - m'), b = exp(m_r - m'): l = fma(l_r, b, l * a), o = fma(o_r, b, o * a). In the end
// out = fma(o, 1 / l, +0). With sinks (arXiv:2309.17453), logits of each head's that have no value, with
// m' = max(m, sink), a = exp(m - m'), l' = fma(l, a, exp(sink - m')): out = fma(o, a / l', +0).
//
// With `tokens` > 1, so many tokens of a prompt at once: token t stands at position at->pos + t and sees no
// later ones. Each vector of keys and values is then read once for all of them. at->pos must be a multiple of
// `tokens`, so that all stand in one range and one group of sixteen positions. Where the key is not causal, all of them see
// the positions up to at->pos, which may be any. With a window of such a key, which is odd, the token stands in its middle:
// it sees the positions p <= at->pos, which is at->own + window / 2 or the text's last one, and p >= at->own - window / 2.
//
// With slopes (ALiBi, arXiv:2108.12409), a number of each head's, where the key is not causal: behind scale and cap
// s = fma(|p - o|, slope, s), o being at->own + t.
inline constexpr int kAttentionRange = kKvPage;
// The first position that a token at `pos` sees; without a window that is 0.
constexpr std::int32_t first_seen(std::int32_t pos, int window) {
  return window > 0 && pos >= window ? pos - window + 1 : 0;
}
// What becomes of a query times a key.
struct ScoreKey {
  float scale = 0;  // 0: 1 / sqrt(head_dim)
  float cap = 0;    // 0: none
  auto operator<=>(const ScoreKey&) const = default;

  float factor(int head_dim) const {
    return scale == 0 ? 1.0F / std::sqrt(static_cast<float>(head_dim)) : scale;
  }
};
// A query has so much of the scratch: its scores of a range, and sixteen floats more.
inline constexpr int kScoreRow = kAttentionRange + kLanes;

struct AttentionArgs {
  const float* q;
  float* out;
  float* scratch;
  const Cursor* at;
  std::int64_t keys_at;
  std::int64_t values_at;
  std::int64_t n_kv_heads;
  const float* sinks = nullptr;
  const float* slopes = nullptr;

  static constexpr auto fields() {
    return Fields{
        field<&AttentionArgs::q>("(tokens, n_kv_heads * group, head_dim)"),
        field<&AttentionArgs::out>("as q"),
        field<&AttentionArgs::scratch>("scratch_floats() of the key"),
        field<&AttentionArgs::at>("(1)"),
        field<&AttentionArgs::keys_at>("bytes from a page's first to those of the first K/V head's keys"),
        field<&AttentionArgs::values_at>("as keys_at, of the values"),
        field<&AttentionArgs::n_kv_heads>(">= 1"),
        field<&AttentionArgs::sinks>("(n_kv_heads * group), where the key has them"),
        field<&AttentionArgs::slopes>("the same"),
    };
  }
};
struct AttentionKey {
  using Args = AttentionArgs;
  ElementType type;
  int head_dim;
  int group;             // query heads for each K/V head
  bool one_range;        // no position is beyond the first range
  int tokens = 1;        // 1, 2, 4, 8 or 16
  int token_stride = 0;  // floats from a token's first head to the next one's, in q and in out
  int window = 0;  // positions that a token sees at the most, itself included; 0: all. Only with one token
  ScoreKey scores{};
  bool sinks = false;
  bool causal =
      true;  // of several tokens: each stands one position behind the one before; a window ends with its token
  bool slopes = false;                                    // only if not causal
  auto operator<=>(const AttentionKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() {
    return fields_of<&AttentionKey::type, &AttentionKey::head_dim, &AttentionKey::group,
                     &AttentionKey::one_range, &AttentionKey::tokens, &AttentionKey::token_stride,
                     &AttentionKey::window, &AttentionKey::scores, &AttentionKey::sinks,
                     &AttentionKey::causal, &AttentionKey::slopes>();
  }

  // Few short heads leave too few independent sums to hide an fma's latency; their positions are summed in
  // more ways.
  int value_ways() const {
    const std::int64_t sums = divide_up(head_dim, kLanes) * group;
    return sums >= 8 ? 1 : sums >= 4 ? 2 : 4;
  }
  // The queries of one K/V head, each of which has a row of scores.
  int rows() const { return tokens * group; }
  // K/V heads that take each step side by side, which hides the latency of one's softmax behind another's.
  int heads_at_once() const { return tokens == 1 && group < kRows ? kRows / group : 1; }
  // For q8_0 as many rows again hold weights times a block's scales.
  std::int64_t scratch_floats() const {
    return std::int64_t{heads_at_once()} * rows() * kScoreRow * (type == ElementType::q8_0 ? 2 : 1);
  }
  // Returns how many tokens at once suit a group best: as many as make no more rows than have their sums in
  // registers side by side.
  static constexpr int best_tokens(int group) {
    constexpr int kRowsOfTile = 16;
    int n = 1;
    while (2 * n * group <= kRowsOfTile) n *= 2;
    return n;
  }

 private:
  static constexpr int kRows = 8;  // of heads side by side
};

// The first position that a token there sees.
constexpr std::int32_t first_seen(const AttentionKey& key, const Cursor& at) {
  return key.causal ? first_seen(at.pos, key.window)
                    : first_seen(static_cast<std::int32_t>(at.own), key.window > 0 ? key.window / 2 + 1 : 0);
}

// A part of the ranges of one K/V head's attention, where several threads share it: those that lie part,
// part + parts, part + 2 * parts, … before the last, so that part 0 has the last one, and with it the
// position at hand. Each range and query head gets a record for AttentionMerge: o (head_dim), and behind
// the row's padding m and l.
struct AttentionRangesArgs {
  const float* q;
  float* records;
  float* scratch;
  const Cursor* at;
  std::int64_t keys_at;
  std::int64_t values_at;
  std::int64_t part;
  std::int64_t parts;

  static constexpr auto fields() {
    return Fields{
        field<&AttentionRangesArgs::q>("(group, head_dim)"),
        field<&AttentionRangesArgs::records>("(group, ranges, attention_record(head_dim))"),
        field<&AttentionRangesArgs::scratch>("scratch_floats() of whole()"),
        field<&AttentionRangesArgs::at>("(1)"),
        field<&AttentionRangesArgs::keys_at>("bytes from a page's first to those of the K/V head's keys"),
        field<&AttentionRangesArgs::values_at>("as keys_at, of the values"),
        field<&AttentionRangesArgs::part>("from 0"),
        field<&AttentionRangesArgs::parts>("> part"),
    };
  }
};
struct AttentionRangesKey {
  using Args = AttentionRangesArgs;
  ElementType type;
  int head_dim;
  int group;
  int ranges;      // that records have places for: those of the context
  int window = 0;  // as AttentionKey's
  ScoreKey scores{};
  auto operator<=>(const AttentionRangesKey&) const = default;

  static constexpr auto fields() {
    return fields_of<&AttentionRangesKey::type, &AttentionRangesKey::head_dim, &AttentionRangesKey::group,
                     &AttentionRangesKey::ranges, &AttentionRangesKey::window, &AttentionRangesKey::scores>();
  }

  AttentionKey whole() const {
    return {.type = type,
            .head_dim = head_dim,
            .group = group,
            .one_range = false,
            .window = window,
            .scores = scores};
  }
};
// So many positions make so many ranges.
constexpr int attention_ranges(int positions) {
  return static_cast<int>(divide_up(positions, kAttentionRange));
}
constexpr std::int64_t attention_record(int head_dim) {  // floats
  return round_up(head_dim, kLanes) + kLanes;
}

// Makes out of the records of all ranges up to at->pos, as AttentionKey says.
struct AttentionMergeArgs {
  const float* records;
  float* out;
  const Cursor* at;
  std::int64_t n_heads;
  const float* sinks = nullptr;

  static constexpr auto fields() {
    return Fields{
        field<&AttentionMergeArgs::records>("(n_heads, ranges, attention_record(head_dim))"),
        field<&AttentionMergeArgs::out>("(n_heads, head_dim)"),
        field<&AttentionMergeArgs::at>("(1)"),
        field<&AttentionMergeArgs::n_heads>("query heads, >= 1"),
        field<&AttentionMergeArgs::sinks>("(n_heads), where the key has them"),
    };
  }
};
struct AttentionMergeKey {
  using Args = AttentionMergeArgs;
  int head_dim;
  int ranges;      // as AttentionRangesKey has them
  int window = 0;  // the same
  bool sinks = false;
  auto operator<=>(const AttentionMergeKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() {
    return fields_of<&AttentionMergeKey::head_dim, &AttentionMergeKey::ranges, &AttentionMergeKey::window,
                     &AttentionMergeKey::sinks>();
  }
};

}  // namespace llamajit::jit
