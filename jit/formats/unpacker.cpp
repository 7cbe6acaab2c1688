#include "jit/formats/unpacker.h"

namespace llamajit::jit {

Unpacker::Unpacker(Emitter& emitter, const CodesLayout& codes_layout, bool whole)
    : e_(emitter), layout_(codes_layout) {
  if (layout_.bits == 8) return;
  for (std::size_t i = 0; i < layout_.planes().size(); ++i) masks_.push_back(e_.uniform16("mask"));
  if (masks_.size() > 1) upper_ = whole ? e_.v16("upper") : e_.part16("upper");
  if (layout_.codebook) table_ = e_.uniform16("table");
}

Const Unpacker::mask_of(const Plane& plane) const {
  constexpr std::uint32_t kEachByte = 0x01010101;
  return {(((1U << plane.bits) - 1) << position(plane)) * kEachByte};
}

void Unpacker::begin() const {
  for (std::size_t i = 0; i < masks_.size(); ++i) e_.broadcast(masks_[i], mask_of(layout_.planes()[i]));
  if (layout_.codebook) e_.load_table(table_, kCodebook);
}

// Vectors are loaded again for each step that they hold: from the first-level cache that costs less than a
// register for each plane and tile.
void Unpacker::emit_step(const V16& to, const RegExp& record, int step) const {
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
  if (layout_.codebook) e_.look_up(to, table_);
}

namespace {

// result = the group's float at `floats_at`, times its subgroup's small number, if there is one
void emit_factor(Emitter& e, const CodesLayout& layout, int floats_at, const SmallNumbers& small,
                 const ScaleRegisters& r, const RegExp& record, int s, int half) {
  constexpr int kHalf = kLanes / 2;
  const KvType type = layout.f32_scales ? KvType::f32 : KvType::f16;
  e.load_as_f32(r.result, record + (floats_at + half * kHalf * (layout.f32_scales ? 4 : 2)), type);
  if (!small) return;
  const RegExp bytes = record + (small.at + s * kLanes + half * kHalf);
  small.is_signed ? e.load_s8(r.temp, bytes) : e.load_u8(r.temp, bytes);
  if (small.shift > 0) {
    e.shift_right(r.temp, r.temp, small.shift);
  } else if (small.bits < 8) {
    e.and_bits(r.temp, r.temp, i32((1 << small.bits) - 1));
  }
  e.to_float(r.temp, r.temp);
  e.mul(r.result, r.result, r.temp);
}

}  // namespace

void emit_scale(Emitter& e, const CodesLayout& layout, const ScaleRegisters& r, const RegExp& record, int s,
                int half) {
  emit_factor(e, layout, layout.scale_at, layout.subscales, r, record, s, half);
}

void emit_min(Emitter& e, const CodesLayout& layout, const ScaleRegisters& r, const RegExp& record, int s,
              int half) {
  emit_factor(e, layout, layout.min_at, layout.submins, r, record, s, half);
}

KvType float_type(FormatKind kind) {
  return kind == FormatKind::f16 ? KvType::f16 : kind == FormatKind::bf16 ? KvType::bf16 : KvType::f32;
}

}  // namespace llamajit::jit
