#include "jit/formats/packing.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include <emmintrin.h>

#include "jit/kernels.h"
#include "jit/scalar_math.h"

namespace llamajit::jit {
namespace {

template <class T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void write(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

constexpr std::int64_t kLineUnits = 16;  // units of 4 bytes in a cache line

// to[i][row] = from[row][i] ^ flip for 4-byte units of sixteen rows, `stride` bytes apart; n_units is a
// multiple of 4. As transpositions of 4 x 4 in SSE2, which every x86-64 has.
void transpose_rows(std::byte* to, const std::byte* from, std::int64_t stride, std::int64_t n_units,
                    std::uint32_t flip) {
  const __m128i flips = _mm_set1_epi32(static_cast<int>(flip));
  for (std::int64_t unit = 0; unit < n_units; unit += 4) {
    for (int row = 0; row < kLanes; row += 4) {
      const auto load = [&](int r) {
        const auto* at = reinterpret_cast<const __m128i*>(from + (row + r) * stride + unit * 4);
        return _mm_xor_si128(_mm_loadu_si128(at), flips);
      };
      const auto store = [&](int i, __m128i units) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + ((unit + i) * kLanes + row) * 4), units);
      };
      const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
      const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
      const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
      store(0, _mm_unpacklo_epi64(ab_low, cd_low));
      store(1, _mm_unpackhi_epi64(ab_low, cd_low));
      store(2, _mm_unpacklo_epi64(ab_high, cd_high));
      store(3, _mm_unpackhi_epi64(ab_high, cd_high));
    }
  }
}

// The same for `n_units` of each of `n_rows` rows. Goes by whole cache lines of a row, whose units land in as
// many lines of the tile, which stay in the first-level cache meanwhile.
void transpose_units(std::byte* to, const std::byte* from, std::int64_t stride, std::int64_t n_rows,
                     std::int64_t n_units, std::uint32_t flip) {
  for (std::int64_t first = 0; first < n_units; first += kLineUnits) {
    const std::int64_t n = std::min(kLineUnits, n_units - first);
    if (n % 4 == 0 && n_rows == kLanes) {
      transpose_rows(to + first * kLanes * 4, from + first * 4, stride, n, flip);
      continue;
    }
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const std::byte* const line = from + row * stride + first * 4;
      for (std::int64_t i = 0; i < n; ++i) {
        write(to + ((first + i) * kLanes + row) * 4, read<std::uint32_t>(line + i * 4) ^ flip);
      }
    }
  }
}

// --- floats
// ------------------------------------------------------------------------------------------------------------

int float_bytes(FormatKind kind) {
  return kind == FormatKind::f32 ? 4 : 2;
}

float float_value(FormatKind kind, const std::byte* at) {
  if (kind == FormatKind::f32) return read<float>(at);
  const auto bits = read<std::uint16_t>(at);
  return kind == FormatKind::f16 ? half_to_float(bits) : bfloat_to_float(bits);
}

void pack_f32(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  transpose_units(to, from.data.data() + first_row * from.cols * 4, from.cols * 4, n_rows, from.cols, 0);
}

void pack_16_bits(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  constexpr std::int64_t kBlock = 32;  // columns: a cache line of each row
  const std::byte* const rows = from.data.data() + first_row * from.cols * 2;
  for (std::int64_t first = 0; first < from.cols; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, from.cols);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      for (std::int64_t col = first; col < end; ++col) {
        write(to + (col * kLanes + row) * 2, read<std::uint16_t>(rows + (row * from.cols + col) * 2));
      }
    }
  }
}

// Rows are rounded into a buffer a cache line's pairs at a time, and transposed from there.
void pack_pairs(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  constexpr std::int64_t kBlock = 2 * kLineUnits;  // columns
  const int size = float_bytes(from.format.kind);
  const std::byte* const rows = from.data.data() + first_row * from.cols * size;
  std::array<std::array<std::uint16_t, kBlock>, kLanes> rounded{};
  for (std::int64_t first = 0; first < from.cols; first += kBlock) {
    const std::int64_t n = std::min(kBlock, from.cols - first);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      auto& line = rounded[static_cast<std::size_t>(row)];
      const std::byte* const at = rows + (row * from.cols + first) * size;
      if (from.format.kind == FormatKind::bf16) {
        std::memcpy(line.data(), at, static_cast<std::size_t>(n * size));
      } else {
        for (std::int64_t i = 0; i < n; ++i) {
          line[static_cast<std::size_t>(i)] = float_to_bfloat(float_value(from.format.kind, at + i * size));
        }
      }
      if (n % 2 != 0) line[static_cast<std::size_t>(n)] = 0;
    }
    transpose_units(to + first / 2 * kLanes * 4, reinterpret_cast<const std::byte*>(rounded.data()),
                    sizeof rounded[0], n_rows, divide_up(n, 2), 0);
  }
}

// --- codes
// -------------------------------------------------------------------------------------------------------------

constexpr std::uint32_t kFlipCodes = 0x80808080;  // s8 to u8: code + 128

std::int64_t block_bytes(Format format) {
  return format_traits(format.kind)->block_bytes;
}

void pack_int8(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  const CodesLayout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const codes = to + g * layout.group_bytes;
    const std::byte* const source = from.data.data() + first_row * from.cols + g * layout.group;
    transpose_units(codes, source, from.cols, n_rows, layout.group / 4, kFlipCodes);
    for (int k = layout.group / 4 * 4; k < layout.padded; ++k) {  // a group's last columns, and its padding
      for (std::int64_t row = 0; row < n_rows; ++row) {
        const std::byte code = k < layout.group ? source[row * from.cols + k] : std::byte{0};
        codes[(k / 4 * kLanes + row) * 4 + k % 4] = code ^ static_cast<std::byte>(layout.zero);
      }
    }
    transpose_units(codes + layout.scale_at, from.scales.data() + (first_row * n_groups + g) * 4,
                    n_groups * 4, n_rows, 1, 0);
  }
}

// Q8_0's blocks hold the codes as int8 has them: they need not be taken apart.
void pack_q8_0(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  constexpr std::int64_t kScaleBytes = 2;
  const CodesLayout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  const std::int64_t row_bytes = n_groups * block_bytes(from.format);
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const record = to + g * layout.group_bytes;
    const std::byte* const blocks = from.data.data() + first_row * row_bytes + g * block_bytes(from.format);
    transpose_units(record, blocks + kScaleBytes, row_bytes, n_rows, layout.group / 4, kFlipCodes);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      write(record + layout.scale_at + row * 2, read<std::uint16_t>(blocks + row * row_bytes));
    }
  }
}

constexpr int kMostVectors = Group::kMost / 4 / 2;  // of a plane of four bits

// One row's words of a plane, of all its vectors: each code's bits of this plane, steps beside each other.
void gather_plane(const CodesLayout& layout, const Plane& plane, const Group& group, std::uint32_t* words) {
  const std::uint32_t mask = ((1U << plane.bits) - 1) * 0x01010101U;
  const int position = plane.position + layout.shift;
  const int n_vectors = layout.steps() / plane.steps();
  for (int vector = 0; vector < n_vectors; ++vector) {
    std::uint32_t word = 0;
    for (int slot = 0; slot < plane.steps(); ++slot) {
      const auto codes = read<std::uint32_t>(
          reinterpret_cast<const std::byte*>(group.codes + (vector * plane.steps() + slot) * 4));
      word |= (codes >> position & mask) << (slot * plane.bits);
    }
    words[vector] = word;
  }
}

void write_scale(const CodesLayout& layout, std::byte* at, std::int64_t row, float scale) {
  if (layout.f32_scales) {
    write(at + row * 4, scale);
  } else {
    write(at + row * 2, float_to_half(scale));
  }
}

void write_small_numbers(const CodesLayout& layout, const Group& group, std::int64_t row, std::byte* record) {
  const auto write_bits = [&](const SmallNumbers& numbers, int s, int number) {
    std::byte& byte = record[numbers.at_subgroup(s) + row * numbers.row_bytes()];
    const auto mask = static_cast<std::byte>(((1 << numbers.bits) - 1) << numbers.shift);
    byte = (byte & ~mask) | (static_cast<std::byte>(number << numbers.shift) & mask);
  };
  for (int s = 0; layout.subscales && s < layout.subgroups(); ++s) {
    write_bits(layout.subscales, s, group.subscales[s]);
    if (layout.submins) write_bits(layout.submins, s, group.submins[s]);
  }
  write_scale(layout, record + layout.scale_at, row, group.scale);
  if (layout.min_at > 0) write_scale(layout, record + layout.min_at, row, group.min);
}

// Sixteen rows are more streams than the processor follows by itself. What lies behind the file is not
// touched by asking for it.
constexpr std::int64_t kAhead = 512;

void pack_blocks(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  const CodesLayout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  const std::int64_t row_bytes = n_groups * block_bytes(from.format);
  std::array<std::array<std::array<std::uint32_t, kMostVectors>, kLanes>, 2> words;  // of planes and rows
  Group group;
  group.scale = from.scales.empty() ? 0.0F : read<float>(from.scales.data());  // i2_s: of the matrix
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const record = to + g * layout.group_bytes;
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const std::byte* const block =
          from.data.data() + (first_row + row) * row_bytes + g * block_bytes(from.format);
      __builtin_prefetch(block + kAhead);
      split_block(from.format.kind, block, group);
      for (std::size_t p = 0; p < layout.planes().size(); ++p) {
        gather_plane(layout, layout.planes()[p], group, words[p][static_cast<std::size_t>(row)].data());
      }
      write_small_numbers(layout, group, row, record);
    }
    for (std::size_t p = 0; p < layout.planes().size(); ++p) {
      const Plane& plane = layout.planes()[p];
      transpose_units(record + plane.at, reinterpret_cast<const std::byte*>(words[p].data()),
                      sizeof words[p][0], n_rows, layout.steps() / plane.steps(), 0);
    }
  }
}

// factor * (code - zero) + min
float coded_value(const CodesLayout& layout, int code, float factor, float min) {
  const auto value = static_cast<float>(code - layout.zero);
  return layout.sums_inputs() ? fused(factor, value, min) : factor * value;
}

}  // namespace

// --- the layout
// --------------------------------------------------------------------------------------------------------

bool has_codes(Format format) {
  return format_traits(format.kind) != nullptr;
}

CodesLayout::CodesLayout(Format format) {
  if (!has_codes(format)) return;
  const FormatTraits& traits = *format_traits(format.kind);
  group = format.group;
  subgroup = traits.has_subscales() ? traits.subgroup : group;
  padded = static_cast<int>(round_up(group, 4));
  bits = traits.bits;
  shift = traits.shift;
  zero = traits.zero;
  mins = traits.mins;
  codebook = traits.codebook;
  f32_scales = traits.f32_scales;
  int at = 0;
  const auto take = [&](int bytes) {
    const int here = at;
    at += bytes;
    return here;
  };
  int position = 0;
  for (int width = 8; width > 0; width /= 2) {
    if ((bits & width) == 0) continue;
    all_planes[n_planes++] = {width, position, take(padded * width / 8 * kLanes)};
    position += width;
  }
  if (subgroup < group) {
    const int bytes = subgroups() * kLanes;
    subscales = {.at = take(bytes), .is_signed = !traits.nibbles, .bits = traits.nibbles ? 4 : 8};
    if (traits.nibbles) {
      submins = {.at = subscales.at, .bits = 4, .shift = 4, .paired = true};
    } else if (mins == Mins::each) {
      submins = {.at = take(bytes), .paired = true};
    }
  }
  const int scale_bytes = (f32_scales ? 4 : 2) * kLanes;
  scale_at = take(scale_bytes);
  if (mins != Mins::none) min_at = take(scale_bytes);
  group_bytes = at;
}

Sums16 CodesLayout::sums16() const {
  if (bits == 8 || codebook) return Sums16::none;
  const int largest = ((1 << bits) - 1) << shift;
  const int of_subgroup =
      padded / subgroups() / 2 * largest * 127;  // a lane of 16 bits has half its products
  return of_subgroup <= std::numeric_limits<std::int16_t>::max() ? Sums16::subgroups : Sums16::pairs;
}

std::optional<InputFormat> input_format(Format format) {
  if (format.kind == FormatKind::bf16_pairs) return InputFormat{.pairs = true};
  if (!has_codes(format)) return std::nullopt;
  const CodesLayout layout(format);
  return InputFormat{false, layout.group, layout.subgroup, layout.zero};
}

std::int64_t tile_bytes(Format format, std::int64_t cols) {
  constexpr std::int64_t kCacheLine = 64;
  if (format.kind == FormatKind::bf16_pairs) return rounded_bytes(cols) * kLanes;
  if (!has_codes(format)) return round_up(cols * kLanes * float_bytes(format.kind), kCacheLine);
  const CodesLayout layout(format);
  return round_up(cols / layout.group * layout.group_bytes, kCacheLine);
}

std::int64_t packed_bytes(Format format, std::int64_t rows, std::int64_t cols) {
  return divide_up(rows, kLanes) * tile_bytes(format, cols);
}

void pack_tile(const SourceMatrix& from, std::int64_t tile, std::byte* to) {
  const std::int64_t first_row = tile * kLanes;
  const std::int64_t n_rows = std::clamp<std::int64_t>(from.rows - first_row, 0, kLanes);
  if (n_rows < kLanes) std::memset(to, 0, static_cast<std::size_t>(tile_bytes(from.format, from.cols)));
  switch (from.format.kind) {
    case FormatKind::f32:
      return pack_f32(from, first_row, n_rows, to);
    case FormatKind::f16:
    case FormatKind::bf16:
      return pack_16_bits(from, first_row, n_rows, to);
    case FormatKind::int8:
      return pack_int8(from, first_row, n_rows, to);
    case FormatKind::q8_0:
      return pack_q8_0(from, first_row, n_rows, to);
    default:
      return pack_blocks(from, first_row, n_rows, to);
  }
}

void pack_tile_as_pairs(const SourceMatrix& from, std::int64_t tile, std::byte* to) {
  const std::int64_t first_row = tile * kLanes;
  const std::int64_t n_rows = std::clamp<std::int64_t>(from.rows - first_row, 0, kLanes);
  constexpr Format kPairs{FormatKind::bf16_pairs, 0};
  if (n_rows < kLanes) std::memset(to, 0, static_cast<std::size_t>(tile_bytes(kPairs, from.cols)));
  pack_pairs(from, first_row, n_rows, to);
}

float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col) {
  const std::int64_t index = row * from.cols + col;
  const std::byte* const data = from.data.data();
  if (!has_codes(from.format)) {
    return float_value(from.format.kind, data + index * float_bytes(from.format.kind));
  }
  const std::int64_t g = index / from.format.group;
  if (from.format.kind == FormatKind::int8) {
    return static_cast<float>(read<std::int8_t>(data + index)) * read<float>(from.scales.data() + g * 4);
  }
  const CodesLayout layout(from.format);
  Group group;
  split_block(from.format.kind, data + g * block_bytes(from.format), group);
  if (from.format.kind == FormatKind::i2_s) group.scale = read<float>(from.scales.data());
  const auto k = static_cast<int>(index % from.format.group);
  const int s = k / layout.subgroup;
  const int code = layout.codebook ? kCodebook[group.codes[k]] : group.codes[k];
  const int subscale = layout.subscales ? group.subscales[s] : 1;
  const int submin = layout.submins ? group.submins[s] : 1;
  return coded_value(layout, code, group.scale * static_cast<float>(subscale),
                     layout.sums_inputs() ? group.min * static_cast<float>(submin) : 0.0F);
}

namespace {

float packed_float(const CodesLayout& layout, const std::byte* floats, int row) {
  return layout.f32_scales ? read<float>(floats + row * 4)
                           : half_to_float(read<std::uint16_t>(floats + row * 2));
}

// 1 where there are none.
int small_number(const SmallNumbers& numbers, const std::byte* record, int subgroup, int row) {
  if (!numbers) return 1;
  const std::byte* const at = record + numbers.at_subgroup(subgroup) + row * numbers.row_bytes();
  if (numbers.is_signed) return read<std::int8_t>(at);
  return read<std::uint8_t>(at) >> numbers.shift & ((1 << numbers.bits) - 1);
}

}  // namespace

int packed_code(const CodesLayout& layout, const std::byte* record, int column, int row) {
  const int step = column / 4;
  if (layout.bits == 8) return read<std::uint8_t>(record + (step * kLanes + row) * 4 + column % 4);
  unsigned code = 0;
  for (const Plane& plane : layout.planes()) {
    const int vector = step / plane.steps(), slot = step % plane.steps();
    const auto byte = read<std::uint8_t>(record + plane.at + (vector * kLanes + row) * 4 + column % 4);
    code |= (byte >> (slot * plane.bits) & ((1U << plane.bits) - 1)) << plane.position;
  }
  return layout.codebook ? kCodebook[code] : static_cast<int>(code << layout.shift);
}

int packed_subscale(const CodesLayout& layout, const std::byte* record, int subgroup, int row) {
  return small_number(layout.subscales, record, subgroup, row);
}

int packed_submin(const CodesLayout& layout, const std::byte* record, int subgroup, int row) {
  return small_number(layout.submins, record, subgroup, row);
}

float packed_scale(const CodesLayout& layout, const std::byte* record, int row) {
  return packed_float(layout, record + layout.scale_at, row);
}

float packed_min(const CodesLayout& layout, const std::byte* record, int row) {
  return layout.sums_inputs() ? packed_float(layout, record + layout.min_at, row) : 0.0F;
}

float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride) {
  const std::byte* tile = packed + row / kLanes * tile_stride * tile_bytes(format, cols);
  const auto lane = static_cast<int>(row % kLanes);
  if (format.kind == FormatKind::bf16_pairs) {
    return float_value(format.kind, tile + (col / 2 * kLanes + lane) * 4 + col % 2 * 2);
  }
  if (!has_codes(format)) {
    return float_value(format.kind, tile + (col * kLanes + lane) * float_bytes(format.kind));
  }
  const CodesLayout layout(format);
  const std::byte* const record = tile + col / layout.group * layout.group_bytes;
  const auto k = static_cast<int>(col % layout.group);
  const int s = k / layout.subgroup;
  return coded_value(
      layout, packed_code(layout, record, k, lane),
      packed_scale(layout, record, lane) * static_cast<float>(packed_subscale(layout, record, s, lane)),
      packed_min(layout, record, lane) * static_cast<float>(packed_submin(layout, record, s, lane)));
}

}  // namespace llamajit::jit
