// The form of rows that matmul multiplies with in tiles: signed codes of a byte, as the second operand wants them, and their
// numbers ready for use. All formats are written so to scratch, once for all tokens of a chunk.
#pragma once

#include <cstdint>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"
#include "jit/kernels/plain_layout.h"

namespace llamajit::jit {

// A row of `kRow` bytes has 32 bits for each of sixteen rows of the matrix. For each group there are
//
//   [planes][steps] rows of codes less their zero point, four columns each; a row of scales (f32)
//
// With subscales, codes are multiplied by theirs. Where a byte does not hold such a product, there are two planes: the lower
// bytes, unsigned, and the upper ones, signed. Behind the scales stand, where the format has minima, a row of them (f32),
// and with submins [subgroups / 2] rows of pairs of these (i16).
struct TileLayout {
  static constexpr int kRow = PlainLayout::kRow;
  static constexpr int kMostK = 64;  // columns that a tile takes

  explicit TileLayout(const CodesLayout& codes);

  // Whether groups are cut into tiles without a rest.
  bool exists() const { return k > 0; }
  std::int64_t scratch_bytes(std::int64_t cols) const { return exists() ? cols / group * group_bytes : 0; }
  int plane_bytes() const { return steps * kRow; }
  int tiles() const { return group / k; }  // of a plane of a group

  int group = 0;
  int steps = 0;  // of four columns, of a group
  int planes = 1;
  int k = 0;         // columns of a tile
  int scale_at = 0;  // from the group's begin
  int min_at = 0;    // the same
  int submins_at = 0;
  int group_bytes = 0;
};

// Writes `n_tiles` packed tiles of (16, cols).
void emit_tile_layout(Emitter& e, Format format, int n_tiles, int cols, const PlainRegisters& r);

}  // namespace llamajit::jit
