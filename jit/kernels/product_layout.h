// The form of rows that matmul multiplies with a group at a time, whether it has subscales or not: codes of a byte, multiplied
// by theirs, and a group's numbers ready for use. Rows are written so to scratch, once for all tokens of a chunk. Of all formats
// they are what tiles want as their second operand; of some, what vectors multiply with.
#pragma once

#include <cstdint>
#include <optional>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"
#include "jit/kernels/plain_layout.h"

namespace llamajit::jit {

// A row of `kRow` bytes has 32 bits for each of sixteen rows of the matrix. For each group there are
//
//   [planes][steps] rows of products, four columns each; a row of scales (f32)
//
// A product is a code less its zero point, with subscales times its own. For tiles it is signed, and where a byte does not
// hold it, there are two planes: the lower bytes, unsigned, and the upper ones, signed. For vectors it is a ByteProducts's.
// Behind the scales stand, where the format has minima, a row of them (f32), and with submins [subgroups / 2] rows of pairs
// of these (i16).
struct ProductLayout {
  static constexpr int kRow = PlainLayout::kRow;
  static constexpr int kMostK = 64;  // columns that a tile takes

  static ProductLayout of_tiles(const CodesLayout& codes);
  static ProductLayout of_vectors(const CodesLayout& codes);

  // Whether the format can be written so: groups are cut into tiles without a rest, or products fit bytes.
  bool exists() const { return group > 0; }
  std::int64_t scratch_bytes(std::int64_t cols) const { return exists() ? cols / group * group_bytes : 0; }
  int plane_bytes() const { return steps * kRow; }
  int tiles() const { return group / k; }  // of a plane of a group

  int group = 0;
  int steps = 0;  // of four columns, of a group
  int planes = 1;
  int k = 0;                                       // columns of a tile
  std::optional<CodesLayout::ByteProducts> bytes;  // of vectors
  int scale_at = 0;                                // from the group's begin
  int min_at = 0;                                  // the same
  int submins_at = 0;
  int group_bytes = 0;

 private:
  void place_numbers(const CodesLayout& codes);
};

// Writes `n_tiles` packed tiles of (16, cols).
void emit_products(Emitter& e, Format format, const ProductLayout& layout, int n_tiles, int cols,
                   const PlainRegisters& r);

}  // namespace llamajit::jit
