// Takes the codes of packed records (packing.h) apart, four columns of sixteen rows at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"

namespace llamajit::jit {

class Unpacker {
 public:
  // How many registers it takes, each a vector's.
  static int registers(Isa isa, const CodesLayout& layout, int n_tiles);
  // Whether emit_step() clobbers its `temp`.
  static bool needs_temp(const CodesLayout& layout) {
    return layout.has_large_codebook() || layout.triple_steps > 0;
  }

  // Takes the registers that it needs for as long as the caller's VectorScope lives; `whole` as
  // in Dot. Of up to `n_tiles` that are taken apart in turn, each has its own lifted rows.
  Unpacker(Emitter& emitter, const CodesLayout& codes_layout, bool whole, int n_tiles);

  // Fills registers with constants; comes before the first step.
  void begin() const;
  // Comes before the steps of a subgroup, of all rows or of a half, as in emit_scale().
  void begin_subgroup(const RegExp& record, int s, int half, int tile = 0) const;
  // to = the codes of the record's step number `step`, as they are multiplied, of all rows or of a half. Steps of a triple
  // follow each other. Clobbers `temp`, where it is needed.
  void emit_step(const V16& to, const RegExp& record, int step, int half, const V16& temp,
                 int tile = 0) const;

 private:
  // to = the first codes of triple `number`; pairs = what the others are looked up by.
  void begin_triple(const V16& to, const V16& pairs, const RegExp& record, int number, int half,
                    const V16& temp) const;
  // A row of kTripleTable in a register: `temp` where there are none to keep all rows in.
  V16 triple_row(int row, const V16& temp) const;

  int position(const Plane& plane) const { return plane.position + layout_.shift; }
  // A byte of each: what a code has of the plane.
  Const mask_of(const Plane& plane) const;

  Emitter& e_;
  const CodesLayout& layout_;
  std::vector<V16> masks_;  // of each plane; none for whole bytes
  V16 upper_;               // bits of the second plane
  V16 table_;
  std::vector<V16> lifts_;  // of each tile: what its rows have added
  V16 lower_mask_;
  std::vector<V16> rows_;   // of kTripleTable, on 512-bit tiers
  std::vector<V16> pairs_;  // of each tile
};

// The codebook as Emitter takes tables: whole rows of it.
std::span<const std::uint8_t> whole_rows(const CodesLayout& layout);

// to = a group's scale, or its min, as f32: of all rows, or where `to` is for half of them of the first or
// second `half`.
void emit_scale(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int half);
void emit_min(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int half);
// to = the scales of subgroup `s`, as i32.
void emit_subscale(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int s,
                   int half);
// to = the minima of subgroups `s` (even) and s + 1, as pairs of i16.
void emit_submins(Emitter& e, const CodesLayout& layout, const V16& to, const RegExp& record, int s,
                  int half);

// A kernel's load_as_f32() of 16-bit weights; they are those of a cache.
ElementType float_type(FormatKind kind);

}  // namespace llamajit::jit
