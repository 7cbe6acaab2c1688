// The packed layout, R16: a matrix is cut into tiles of 16 rows, and in a tile the lane is the row. Sums then
// run down the lanes with no horizontal step and no tail, and one layout serves 512- and 256-bit registers
// alike.
//
//   f32   tile = [cols][16] f32
//   q8_0  tile = for each group: [group/4][16 rows][4 columns] u8 codes (code + 128), then [16] f32 scales;
//         a group whose length is no multiple of 4 is padded with the code for zero
//
// Rows beyond the matrix (the padding of the last tile) are zeros. A paired matrix (gate and up, for swiglu)
// alternates tiles: gate 0, up 0, gate 1, up 1, …; together two such tiles are one unit of matvec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "jit/formats/format.h"

namespace llamajit::jit {

// A matrix as its file stores it, row-major, without any alignment.
struct SourceMatrix {
  Format format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> data;    // floats of 2 or 4 bytes; q8_0: int8 codes, or ggml's blocks
  std::span<const std::byte> scales;  // q8_0: f32, (rows, cols / group); empty for ggml's blocks of 32, each
                                      // a binary16 scale and its codes
};

// The value at (row, col), exactly.
float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col);

// Of packed formats.
std::int64_t tile_bytes(Format format, std::int64_t cols);
std::int64_t packed_bytes(Format format, std::int64_t rows, std::int64_t cols);

// Writes tile `tile` of `from`, packed as packed_format(), to `to` (tile_bytes). A tile wholly outside the
// matrix becomes zeros.
void pack_tile(const SourceMatrix& from, std::int64_t tile, std::byte* to);

// The value at (row, col) of a packed matrix, exactly: the specification of the layout. For a paired matrix,
// give the address of gate's or up's first tile and tile_stride = 2 tiles.
float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride);

// Where things are within a q8_0 tile.
struct Q8Layout {
  explicit Q8Layout(Format format);
  int group;                 // columns that share a scale
  int padded;                // group rounded up to 4
  std::int64_t codes_bytes;  // of one group in one tile: padded * 16
  std::int64_t group_bytes;  // codes and scales
};

}  // namespace llamajit::jit
