// The packed layout, R16: a matrix is cut into tiles of 16 rows, and in a
// tile the lane is the row. Sums then run down the lanes with no horizontal
// step and no tail, and one layout serves 512- and 256-bit registers alike.
//
//   floats  tile = [cols][16] f32, f16 or bf16; bf16_pairs: [cols / 2][16][2], an odd last column with a zero
//   codes   tile = a record for each group (FormatTraits), see CodesLayout
//
// Rows beyond the matrix (the padding of the last tile) are zeros. A paired matrix (gate and up, for swiglu)
// alternates tiles: gate 0, up 0, gate 1, up 1, …; together two such tiles are one unit of matvec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "jit/formats/activations.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

// A matrix as its file stores it, row-major, without any alignment.
struct SourceMatrix {
  Format format;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> data;    // floats, int8 codes, or blocks
  std::span<const std::byte> scales;  // int8: f32, (rows, cols / group); i2_s: one f32
};

// Whether the matrix is multiplied as integers, after its input has been quantised.
bool has_codes(Format format);

// How the input of a matrix is prepared, once for all matrices that want it so: rounded to pairs of bf16
// (RoundKey), or quantised (QuantizeKey).
struct InputFormat {
  bool pairs = false;
  int group = 0;
  int subgroup = 0;
  int zero = 0;
  bool operator==(const InputFormat&) const = default;

  // The planes of n codes take this many bytes.
  std::int64_t codes_bytes(std::int64_t n) const {
    return pairs ? rounded_bytes(n) : quantized_codes(n, group);
  }
  std::int64_t groups(std::int64_t n) const { return pairs ? 0 : n / group; }
  std::int64_t subgroups(std::int64_t n) const { return pairs ? 0 : n / subgroup; }
};
// None where x is multiplied as it is.
std::optional<InputFormat> input_format(Format format);

std::int64_t tile_bytes(Format format, std::int64_t cols);
std::int64_t packed_bytes(Format format, std::int64_t rows, std::int64_t cols);

// Writes tile `tile` of `from` to `to` (tile_bytes). A tile wholly outside the matrix becomes zeros.
void pack_tile(const SourceMatrix& from, std::int64_t tile, std::byte* to);
// The same of a matrix of floats as bf16_pairs, rounded to nearest even.
void pack_tile_as_pairs(const SourceMatrix& from, std::int64_t tile, std::byte* to);

// Whether every value of a packed tile is a finite number: one that is none makes every product of its row none,
// too, and some kernels clamp such products away unseen.
bool all_finite(Format format, std::int64_t cols, const std::byte* tile);

// The value at (row, col), exactly: of a matrix in a file, and of a packed one, which specifies the layout.
// For a paired matrix, give the address of gate's or up's first tile and tile_stride = 2 tiles.
float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col);
float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride);
// The same of a whole row: `out` is as long as it.
void source_row(const SourceMatrix& from, std::int64_t row, std::span<float> out);
void packed_row(Format format, const std::byte* packed, std::int64_t row, std::int64_t tile_stride,
                std::span<float> out);

// Bits of codes in memory of their own. A vector of 64 bytes, four to a row, holds as many steps of four
// columns as fit into a byte, the first in the lowest bits.
struct Plane {
  int bits;                               // 1, 2, 4 or 8
  int position;                           // of the lowest in a code
  int at;                                 // bytes from the record's begin to the plane
  int steps() const { return 8 / bits; }  // that a vector holds
};

// Small integers of a record: a byte for each subgroup and row, or some bits of one. Where they are paired,
// those of a row and of two subgroups stand side by side.
struct SmallNumbers {
  int at = 0;  // bytes from the record's begin; 0: there are none
  bool is_signed = false;
  int bits = 8;
  int shift = 0;  // of the lowest in a byte
  bool paired = false;

  explicit operator bool() const { return at > 0; }
  // From the record's begin to row 0's; rows lie row_bytes() apart.
  int at_subgroup(int s) const { return paired ? at + s / 2 * 2 * kLanes + s % 2 : at + s * kLanes; }
  int row_bytes() const { return paired ? 2 : 1; }
};

// A group's record in a tile: of ternary formats triples of codes (triples.h), then planes of codes, of those that are in no
// triple; then the subgroups' scales (s8) and
// minima (u8, paired), or as nibbles of the same bytes scales (the lower ones) and
// minima; bits that say which subgroups are lifted (u16); then the group's scale and minimum (f16, bf16 or f32, as the
// format says).
// A group of int8 whose length is no multiple of 4 is padded with the code for zero.
struct CodesLayout {
  explicit CodesLayout(Format format);  // all zeros for floats

  int steps() const { return padded / 4; }  // of four columns
  int subgroups() const { return group > 0 ? group / subgroup : 0; }
  int subgroup_steps() const { return steps() / subgroups(); }
  std::span<const std::uint8_t> entries() const { return std::span(*codebook).first(std::size_t{1} << bits); }
  bool has_large_codebook() const { return codebook != nullptr && bits > 4; }  // of more than 16 entries
  int least_code() const;     // that is multiplied, `zero` included
  int largest_code() const;   // the same
  int farthest_code() const;  // how far the farthest from `zero` is
  bool sums_inputs() const { return mins != Mins::none; }
  Subnumbers numbers_of_x() const { return subnumbers(group, subgroup, zero); }
  Sums16 sums16() const;
  // Sums of subgroups that have subscales are numbers of 16 bits, so that an instruction multiplies and adds them.
  bool sums_fit_words() const;
  // Else a group's sum of isum * subscale is below 2^24 in each of so many equal parts of its subgroups, so that f32 holds every
  // step of it exactly; 0 where two parts are too few, and where there are no subscales.
  int float_parts() const;
  // A code less `zero` times its subscale, as an unsigned byte: (product + offset) >> shift, exactly; where the range of such
  // products is small enough.
  struct ByteProducts {
    int offset = 0;
    std::uint8_t shift = 0;
  };
  std::optional<ByteProducts> byte_products() const;
  std::span<const Plane> planes() const { return {all_planes, static_cast<std::size_t>(n_planes)}; }

  int group = 0, subgroup = 0, padded = 0;  // padded: group rounded up to 4
  int bits = 0, shift = 0, zero = 0, lift = 0;
  int largest_subscale = 0, greatest_subscale = 0;
  bool odd_products = false;
  Mins mins = Mins::none;
  const Codebook* codebook = nullptr;
  FormatKind floats = FormatKind::f16;
  int triple_steps = 0;  // of the first columns, whose codes lie as triples; planes begin behind these
  Plane all_planes[2] = {};
  int n_planes = 0;
  SmallNumbers subscales, submins;
  int lifted_at = 0;  // where `lift` is not 0
  int scale_at = 0, min_at = 0;
  int group_bytes = 0;
};

// These read what a record says of one row and one column or subgroup of its
// group: the code that is multiplied, found in the codebook where there is
// one, and lifted; subscale and submin, which are 1 where there are none; scale and min.
int packed_code(const CodesLayout& layout, const std::byte* record, int column, int row);
// All codes of a row's group: `padded` of them.
void packed_codes(const CodesLayout& layout, const std::byte* record, int row, std::span<int> codes);
int packed_subscale(const CodesLayout& layout, const std::byte* record, int subgroup, int row);
int packed_submin(const CodesLayout& layout, const std::byte* record, int subgroup, int row);
float packed_scale(const CodesLayout& layout, const std::byte* record, int row);
float packed_min(const CodesLayout& layout, const std::byte* record, int row);

}  // namespace llamajit::jit
