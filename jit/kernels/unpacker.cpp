#include "jit/kernels/unpacker.h"

#include <algorithm>

#include "jit/formats/triples.h"

namespace llamajit::jit {

std::span<const std::uint8_t> whole_rows(const CodesLayout& layout) {
  constexpr std::size_t kRow = 16;
  return std::span(*layout.codebook).first(std::max(kRow, layout.entries().size()));
}

namespace {

constexpr int kHalfBytes = kLanes / 2 * 4;  // of a vector

}  // namespace

Unpacker::Unpacker(Emitter& emitter, const CodesLayout& codes_layout, bool whole, int n_tiles)
    : e_(emitter), layout_(codes_layout) {
  if (layout_.bits == 8) return;
  for (std::size_t i = 0; i < layout_.planes().size(); ++i) masks_.push_back(e_.uniform16("mask"));
  if (masks_.size() > 1) upper_ = whole ? e_.v16("upper") : e_.part16("upper");
  if (layout_.codebook != nullptr) table_ = e_.uniform16("table");
  for (int i = 0; layout_.lift > 0 && i < n_tiles; ++i)
    lifts_.push_back(whole ? e_.v16("lift") : e_.part16("lift"));
  if (layout_.triple_steps == 0) return;
  lower_mask_ = e_.uniform16("mask of triples");
  for (int i = 0; e_.isa().wide() && i < kTripleRows; ++i) rows_.push_back(e_.uniform16("table"));
  for (int i = 0; i < n_tiles; ++i) pairs_.push_back(whole ? e_.v16("pairs") : e_.part16("pairs"));
}

int Unpacker::registers(Isa isa, const CodesLayout& layout, int n_tiles) {
  if (layout.bits == 8) return 0;
  const int n_planes = static_cast<int>(layout.planes().size());
  const int of_triples = layout.triple_steps > 0 ? 1 + n_tiles + (isa.wide() ? kTripleRows : 0) : 0;
  return n_planes + (n_planes > 1 ? 1 : 0) + (layout.codebook != nullptr ? 1 : 0) +
         (layout.lift > 0 ? n_tiles : 0) + of_triples;
}

Const Unpacker::mask_of(const Plane& plane) const {
  constexpr std::uint32_t kEachByte = 0x01010101;
  return {(((1U << plane.bits) - 1) << position(plane)) * kEachByte};
}

void Unpacker::begin() const {
  for (std::size_t i = 0; i < masks_.size(); ++i) e_.broadcast(masks_[i], mask_of(layout_.planes()[i]));
  if (layout_.codebook != nullptr) e_.load_table(table_, whole_rows(layout_));
  if (pairs_.empty()) return;
  e_.broadcast(lower_mask_, Const{0x0F0F0F0F});
  e_.set_rows(kTripleTable);
  for (std::size_t row = 0; row < rows_.size(); ++row) e_.broadcast_row(rows_[row], static_cast<int>(row));
}

void Unpacker::begin_subgroup(const RegExp& record, int s, int half, int tile) const {
  if (lifts_.empty()) return;
  constexpr int kLiftedBytes = kLanes / 2 * static_cast<int>(sizeof Group::lifted);
  constexpr std::uint32_t kEachByte = 0x01010101;
  e_.load_if_bit(lifts_[static_cast<std::size_t>(tile)], record + (layout_.lifted_at + half * kLiftedBytes),
                 s, {static_cast<std::uint32_t>(layout_.lift) * kEachByte});
}

void Unpacker::begin_triple(const V16& to, const V16& pairs, const RegExp& record, int number, int half,
                            const V16& temp) const {
  const Triple triple(number);
  const RegExp lower = record + (triple.lower_at + half * kHalfBytes);
  if (triple.lower_shift == 0) {
    e_.and_bits(to, lower_mask_, lower);
  } else {
    e_.load_shifted(to, lower, triple.lower_shift);
    e_.and_bits(to, to, lower_mask_);
  }
  e_.look_up_row(pairs, triple_row(1, temp), to);
  e_.or_8_if_bit(pairs, record + triple.fifths_at, triple.fifth_bit, half, temp);
  e_.look_up_row(to, triple_row(0, temp), to);
}

V16 Unpacker::triple_row(int row, const V16& temp) const {
  if (!rows_.empty()) return rows_[static_cast<std::size_t>(row)];
  e_.broadcast_row(temp, row);
  return temp;
}

// Vectors are loaded again for each step that they hold: from the first-level cache that costs less than a
// register for each plane and tile.
void Unpacker::emit_step(const V16& to, const RegExp& record, int step, int half, const V16& temp,
                         int tile) const {
  if (step < layout_.triple_steps) {
    const V16& pairs = pairs_[static_cast<std::size_t>(tile)];
    const int digit = step % Triple::kSteps;
    if (digit == 0) return begin_triple(to, pairs, record, step / Triple::kSteps, half, temp);
    return e_.look_up_row(to, triple_row(1 + digit, temp), pairs);
  }
  constexpr int kVectorBytes = kLanes * 4;
  const int in_plane = step - layout_.triple_steps;
  const auto vector = [&](const Plane& plane) {
    return record + (plane.at + in_plane / plane.steps() * kVectorBytes + half * kHalfBytes);
  };
  const auto shift = [&](const Plane& plane) {
    return in_plane % plane.steps() * plane.bits - position(plane);
  };
  const Plane& lower = layout_.planes()[0];
  if (masks_.empty()) return e_.load(to, vector(lower));
  if (shift(lower) == 0) {
    e_.and_bits(to, masks_[0], vector(lower));
  } else {
    e_.load_shifted(to, vector(lower), shift(lower));
    e_.and_bits(to, to, masks_[0]);
  }
  if (masks_.size() > 1) {
    const Plane& upper = layout_.planes()[1];
    e_.load_shifted(upper_, vector(upper), shift(upper));
    e_.or_masked(to, upper_, masks_[1]);
  }
  if (layout_.codebook != nullptr) e_.look_up(to, table_, upper_, temp);
  if (!lifts_.empty()) e_.add_bytes(to, to, lifts_[static_cast<std::size_t>(tile)]);
}

namespace {

constexpr int kHalf = kLanes / 2;  // rows

void emit_float(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& floats, int half) {
  const int bytes = layout.floats == FormatKind::f32 ? 4 : 2;
  e.load_as_f32(to, floats + half * kHalf * bytes, float_type(layout.floats));
}

}  // namespace

void emit_scale(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int half) {
  emit_float(e, layout, to, record + layout.scale_at, half);
}

void emit_min(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int half) {
  emit_float(e, layout, to, record + layout.min_at, half);
}

void emit_subscale(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int s,
                   int half) {
  const SmallNumbers& numbers = layout.subscales;
  const RegExp bytes = record + (numbers.at_subgroup(s) + half * kHalf);
  numbers.is_signed ? e.load_s8(to, bytes) : e.load_u8(to, bytes);
  if (numbers.bits < 8) e.and_bits(to, to, i32((1 << numbers.bits) - 1));
}

void emit_submins(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int s,
                  int half) {
  const SmallNumbers& numbers = layout.submins;
  e.load_u8_pairs(to, record + (numbers.at_subgroup(s) + half * kHalf * numbers.row_bytes()), numbers.shift);
}

ElementType float_type(FormatKind kind) {
  return kind == FormatKind::f16    ? ElementType::f16
         : kind == FormatKind::bf16 ? ElementType::bf16
                                    : ElementType::f32;
}

}  // namespace llamajit::jit
