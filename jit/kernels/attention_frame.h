// What the parts of an attention kernel share. The walk over heads and ranges is in attention.cpp; scores,
// softmax and weighted sums of a range have a file each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "jit/emit/emitter.h"
#include "jit/kernels/attention.h"
#include "jit/kernels/kv_layout.h"

namespace llamajit::jit {

inline constexpr int kLog2AttentionRange = 8;
static_assert(1 << kLog2AttentionRange == kAttentionRange);

inline constexpr int kScoreRowBytes = kScoreRow * 4;
constexpr int score_row_at(int row) {
  return row * kScoreRowBytes;
}
// These numbers stand at the end of a row of scores: m, l, a, b of the contract, and `scale`, by which out is
// multiplied: 1 / l, or 1 before the last range.
enum class RowValue : std::uint8_t { maximum, sum, before, range, scale };
constexpr int row_value_at(RowValue value) {
  return kScoreRowBytes - 4 * (static_cast<int>(RowValue::scale) - static_cast<int>(value) + 1);
}

// Says where a range's sums go.
enum class RangeResult : std::uint8_t {
  whole,   // the context is one range: to out
  merged,  // to out, where they meet those of the ranges before
  record,  // to a record of the range
};

// The queries of a K/V head, `group` of each token, are the rows of its scores.
struct AttentionFrame {
  // Records have places for so many ranges.
  AttentionFrame(Emitter& emitter, const AttentionKey& attention_key, RangeResult range_result,
                 int ranges = 0);

  int rows() const { return key.rows(); }
  // K/V heads that are walked side by side.
  int heads_at_once() const { return result == RangeResult::record ? 1 : key.heads_at_once(); }
  int head_bytes() const { return key.head_dim * 4; }
  // Return the bytes from a K/V head's first query, or result, to that of a row, and to those of the next head.
  int query_at(int query_row) const {
    return query_row / key.group * key.token_stride * 4 + query_row % key.group * head_bytes();
  }
  int out_at(int out_row) const {
    const std::int64_t records = n_ranges * attention_record(key.head_dim);
    return result == RangeResult::record ? out_row * static_cast<int>(records) * 4 : query_at(out_row);
  }
  int next_head() const { return key.group * head_bytes(); }

  // count = ceil(positions / n); n a power of two
  void count_positions(int n) const;
  // The same for those of the last token.
  void count_all_positions(int n) const;
  // `at` is the first position of the page that is seen, counted from the page's first. Has keys, values and
  // positions, so far those of the whole page, begin with that one's group of sixteen. Clobbers at and row.
  void skip_to_window() const;

  // The stack's slots, by who writes them.
  enum class Slot : std::uint8_t {
    // the walk over heads:
    heads_left,  // K/V heads from the first of those at hand on
    heads_now,   // of them are walked side by side
    q,           // of the first of them, like the next three
    out,
    keys_at,  // from a page's first byte on
    values_at,
    positions,  // in all; of the last range, where it leaves a record
    first,      // position that the window lets see
    // the walk over ranges:
    last,          // the number of the last one
    first_range,   // the number of that of `first`
    page,          // where the table of pages has the range's
    left,          // positions from the range's page's first on
    later,         // not 0 from the second range on
    range_first,   // `first` in the range that has it, 0 in later ones
    keys_begin,    // of the range, but for keys_at
    values_begin,  // and values_at
    // skip_to_window():
    unseen,          // positions of the range's first group that lie before the window
    scales_skipped,  // bytes of values' scales before that group, less those of values
    // the softmax of several tokens:
    first_token,  // positions of the range that the first token sees
    // sinks:
    first_sink,  // that of the first head at hand
    sink,        // that of the row at hand
    // slopes:
    first_slope,  // that of the first head at hand
    slope,        // that of the row at hand
    own,          // position of the token at hand
    begin,        // of the range
  };
  static constexpr std::array kSlotNames = {
      "heads_left",  "heads_now",   "q",          "out",          "keys_at", "values_at",
      "positions",   "first",       "last",       "first_range",  "page",    "left",
      "later",       "range_first", "keys_begin", "values_begin", "unseen",  "scales_skipped",
      "first_token", "first_sink",  "sink",       "first_slope",  "slope",   "own",
      "begin"};
  static_assert(kSlotNames.size() == static_cast<std::size_t>(Slot::begin) + 1);
  static constexpr int kSlotsBytes = static_cast<int>(round_up(static_cast<int>(kSlotNames.size()) * 8, 64));
  // Behind the slots lie sums of one way that wait for those of another.
  int stack_bytes() const { return kSlotsBytes + waiting_sums() * kLanes * 4; }
  int waiting_sums() const;
  Xbyak::Address slot(Slot s) const { return e.qword[e.rsp + 8 * static_cast<int>(s)]; }

  Emitter& e;
  const AttentionKey key;
  const RangeResult result;
  const int n_ranges;
  const KvLayout layout;
  // The head at hand has its queries, results and scores, and its keys and values of the range, here.
  const Reg64 q = e.gpr("q"), keys = e.gpr("keys"), values = e.gpr("values"), out = e.gpr("out");
  const Reg64 scores = e.gpr("scores"), heads = e.gpr("heads");
  const Reg64 positions = e.gpr("positions");  // of the range, that the first token sees
  const Reg64 count = e.gpr("count"), inner = e.gpr("inner"), at = e.gpr("at"), at_q = e.gpr("at_q");
  const Reg64 row = e.gpr("row");
};
using Slot = AttentionFrame::Slot;

// Makes the scores of the head at hand from q and keys, and moves all three on to the next head.
void emit_scores(const AttentionFrame& f);
// Turns the scores of all rows of the heads at hand into weights, and fills the RowValues behind them. `row`
// stands at the first row and moves past the last.
void emit_softmax(const AttentionFrame& f);
// Makes out of the head at hand from its weights and values, and moves all three on.
void emit_values(const AttentionFrame& f);

// pos becomes the first position that is seen from there.
void emit_first_seen(Emitter& e, const Reg64& pos, int window);

// m, l: maximum and sum of what came before; a, b: those of the range that follows, all in all lanes.
// Afterwards m, l are those of both, a the factor of what came before and b that of the range.
void emit_merge(Emitter& e, const V16& m, const V16& l, const V16& a, const V16& b);

// a, and l' in the place of l, of the sink at this address, in all lanes. Clobbers m.
void emit_sink(Emitter& e, const V16& a, const V16& m, const V16& l, const RegExp& sink);

}  // namespace llamajit::jit
