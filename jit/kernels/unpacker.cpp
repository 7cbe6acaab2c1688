#include "jit/kernels/unpacker.h"

#include <algorithm>

namespace llamajit::jit {

std::span<const std::uint8_t> whole_rows(const CodesLayout& layout) {
  constexpr std::size_t kRow = 16;
  return std::span(*layout.codebook).first(std::max(kRow, layout.entries().size()));
}

Unpacker::Unpacker(Emitter& emitter, const CodesLayout& codes_layout, bool whole, int n_tiles)
    : e_(emitter), layout_(codes_layout) {
  if (layout_.bits == 8) return;
  for (std::size_t i = 0; i < layout_.planes().size(); ++i) masks_.push_back(e_.uniform16("mask"));
  if (masks_.size() > 1) upper_ = whole ? e_.v16("upper") : e_.part16("upper");
  if (layout_.codebook != nullptr) table_ = e_.uniform16("table");
  for (int i = 0; layout_.lift > 0 && i < n_tiles; ++i)
    lifts_.push_back(whole ? e_.v16("lift") : e_.part16("lift"));
}

Const Unpacker::mask_of(const Plane& plane) const {
  constexpr std::uint32_t kEachByte = 0x01010101;
  return {(((1U << plane.bits) - 1) << position(plane)) * kEachByte};
}

void Unpacker::begin() const {
  for (std::size_t i = 0; i < masks_.size(); ++i) e_.broadcast(masks_[i], mask_of(layout_.planes()[i]));
  if (layout_.codebook != nullptr) e_.load_table(table_, whole_rows(layout_));
}

void Unpacker::begin_subgroup(const RegExp& record, int s, int half, int tile) const {
  if (lifts_.empty()) return;
  constexpr int kHalfBytes = kLanes / 2 * static_cast<int>(sizeof Group::lifted);
  constexpr std::uint32_t kEachByte = 0x01010101;
  e_.load_if_bit(lifts_[static_cast<std::size_t>(tile)], record + (layout_.lifted_at + half * kHalfBytes), s,
                 {static_cast<std::uint32_t>(layout_.lift) * kEachByte});
}

// Vectors are loaded again for each step that they hold: from the first-level cache that costs less than a
// register for each plane and tile.
void Unpacker::emit_step(const V16& to, const RegExp& record, int step, const V16& temp, int tile) const {
  constexpr int kVectorBytes = kLanes * 4;
  const auto vector = [&](const Plane& plane) {
    return record + (plane.at + step / plane.steps() * kVectorBytes);
  };
  const auto shift = [&](const Plane& plane) { return step % plane.steps() * plane.bits - position(plane); };
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
