// The form of tiles that matmul multiplies with: codes of a byte each, and their numbers ready for use. int8 and q8_0 are
// packed so; other formats are written so to scratch, once for all tokens of a chunk.
#pragma once

#include <cstdint>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"

namespace llamajit::jit {

// A row of `kRow` bytes has 32 bits for each of sixteen rows. For each subgroup of a group there are
//
//   [steps] rows of codes, four columns each; a row of subscales in the kernel's form, or without them of scales (f32, in
//   packed q8_0 sixteen f16); without submins a row of minima (f32), where there are any
//
// and behind a group with subscales
//
//   with submins [subgroups / 2] rows of pairs of them (i16); a row of scales (f32); with submins one of
//   minima
struct PlainLayout {
  static constexpr int kRow = 4 * kLanes;

  explicit PlainLayout(const CodesLayout& codes);  // all zeros for floats

  int group_bytes() const { return n_subgroups * subgroup_bytes + tail_bytes; }
  // Returns what a tile takes in scratch: 0 where its packed form is this one.
  std::int64_t scratch_bytes(std::int64_t cols) const;

  bool is_packed = false;
  int group = 0, n_subgroups = 0;
  int steps = 0;     // of four columns, of a subgroup
  int scale_at = 0;  // from the subgroup's begin
  int min_at = 0;    // the same
  int subgroup_bytes = 0;
  int group_scale_at = 0;  // from the end of a group's last subgroup, where submins begin
  int group_min_at = 0;    // the same
  int tail_bytes = 0;
};

// How a subscale stands in its 32 bits, as the tier multiplies sums by it.
enum class SubscaleForm : std::uint8_t {
  integers,    // an i32
  words,       // an i16 and 0, for sums that fit an i16
  word_pairs,  // an i16 twice, for two sums of 16 bits
  floats       // an f32
};
SubscaleForm subscale_form(Isa isa, const CodesLayout& codes);

// `from` and `to` point to tiles and move past them; `tiles` and `groups` count.
struct PlainRegisters {
  const Reg64 &from, &to, &tiles, &groups;
};
// Emits write_group() for each group of `n_tiles` packed tiles of (16, cols); it moves `from` past the group.
template <class WriteGroup>
void over_packed_groups(Emitter& e, Format format, int n_tiles, int cols, const PlainRegisters& r,
                        WriteGroup write_group) {
  const int group_bytes = CodesLayout(format).group_bytes, n_groups = cols / format.group;
  const int gap = static_cast<int>(tile_bytes(format, cols)) - n_groups * group_bytes;
  e.repeat(r.tiles, n_tiles, [&] {
    e.repeat(r.groups, n_groups, write_group);
    if (gap > 0) e.add(r.from, gap);
  });
}

// Writes `n_tiles` packed tiles of (16, cols) as plain ones.
void emit_plain_tiles(Emitter& e, Format format, int n_tiles, int cols, const PlainRegisters& r);

}  // namespace llamajit::jit
