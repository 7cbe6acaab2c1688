#include "jit/formats/packing.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <emmintrin.h>

#include "jit/scalar_math.h"

namespace llamajit::jit {
namespace {

constexpr int kZeroCode = 128;

template <class T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
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
        const std::uint32_t unit = read<std::uint32_t>(line + i * 4) ^ flip;
        std::memcpy(to + ((first + i) * kLanes + row) * 4, &unit, sizeof unit);
      }
    }
  }
}

constexpr std::uint32_t kFlipCodes = 0x80808080;  // s8 to u8: code + 128

// ggml's block of q8_0.
constexpr std::int64_t kBlockScaleBytes = 2;
constexpr std::int64_t block_bytes(Format format) {
  return kBlockScaleBytes + format.group;
}

float block_scale(const std::byte* block) {
  return half_to_float(read<std::uint16_t>(block));
}

// Of a matrix of 16-bit floats.
float half_value(const SourceMatrix& from, std::int64_t index) {
  const auto bits = read<std::uint16_t>(from.data.data() + index * 2);
  return from.format.kind == FormatKind::f16 ? half_to_float(bits) : bfloat_to_float(bits);
}

void pack_f32(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  transpose_units(to, from.data.data() + first_row * from.cols * 4, from.cols * 4, n_rows, from.cols, 0);
}

void pack_q8(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  const Q8Layout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const codes = to + g * layout.group_bytes;
    const std::byte* const source = from.data.data() + first_row * from.cols + g * layout.group;
    transpose_units(codes, source, from.cols, n_rows, layout.group / 4, kFlipCodes);
    for (int k = layout.group / 4 * 4; k < layout.padded; ++k) {  // a group's last columns, and its padding
      for (std::int64_t row = 0; row < n_rows; ++row) {
        const std::byte code = k < layout.group ? source[row * from.cols + k] : std::byte{0};
        codes[(k / 4 * kLanes + row) * 4 + k % 4] = code ^ std::byte{kZeroCode};
      }
    }
    transpose_units(codes + layout.codes_bytes, from.scales.data() + (first_row * n_groups + g) * 4,
                    n_groups * 4, n_rows, 1, 0);
  }
}

void pack_q8_blocks(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  const Q8Layout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  const std::int64_t row_bytes = n_groups * block_bytes(from.format);
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const codes = to + g * layout.group_bytes;
    const std::byte* const blocks = from.data.data() + first_row * row_bytes + g * block_bytes(from.format);
    transpose_units(codes, blocks + kBlockScaleBytes, row_bytes, n_rows, layout.group / 4, kFlipCodes);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const float scale = block_scale(blocks + row * row_bytes);
      std::memcpy(codes + layout.codes_bytes + row * 4, &scale, sizeof scale);
    }
  }
}

void pack_half(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  std::array<std::array<float, kLineUnits>, kLanes> values{};  // of some columns
  for (std::int64_t col = 0; col < from.cols; col += kLineUnits) {
    const std::int64_t n = std::min(kLineUnits, from.cols - col);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      for (std::int64_t i = 0; i < n; ++i) {
        values[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)] =
            half_value(from, (first_row + row) * from.cols + col + i);
      }
    }
    transpose_units(to + col * kLanes * 4, reinterpret_cast<const std::byte*>(values.data()),
                    sizeof values[0], n_rows, n, 0);
  }
}

}  // namespace

float source_value(const SourceMatrix& from, std::int64_t row, std::int64_t col) {
  const std::int64_t index = row * from.cols + col;
  const std::byte* const data = from.data.data();
  if (from.format.kind == FormatKind::f32) return read<float>(data + index * 4);
  if (from.format.kind != FormatKind::q8_0) return half_value(from, index);
  const auto code_at = [](const std::byte* at) { return static_cast<float>(read<std::int8_t>(at)); };
  const std::int64_t group = index / from.format.group;
  if (!from.scales.empty()) return code_at(data + index) * read<float>(from.scales.data() + group * 4);
  const std::byte* const block = data + group * block_bytes(from.format);
  return code_at(block + kBlockScaleBytes + index % from.format.group) * block_scale(block);
}

Q8Layout::Q8Layout(Format format)
    : group(format.group),
      padded(static_cast<int>(round_up(format.group, 4))),
      codes_bytes(std::int64_t{padded} * kLanes),
      group_bytes(codes_bytes + 4 * kLanes) {}

std::int64_t tile_bytes(Format format, std::int64_t cols) {
  if (format.kind == FormatKind::f32) return cols * kLanes * 4;
  const Q8Layout layout(format);
  return cols / layout.group * layout.group_bytes;
}

std::int64_t packed_bytes(Format format, std::int64_t rows, std::int64_t cols) {
  return divide_up(rows, kLanes) * tile_bytes(format, cols);
}

void pack_tile(const SourceMatrix& from, std::int64_t tile, std::byte* to) {
  const std::int64_t first_row = tile * kLanes;
  const std::int64_t n_rows = std::clamp<std::int64_t>(from.rows - first_row, 0, kLanes);
  const auto bytes = static_cast<std::size_t>(tile_bytes(packed_format(from.format), from.cols));
  if (n_rows < kLanes) std::memset(to, 0, bytes);
  switch (from.format.kind) {
    case FormatKind::f32:
      return pack_f32(from, first_row, n_rows, to);
    case FormatKind::f16:
    case FormatKind::bf16:
      return pack_half(from, first_row, n_rows, to);
    case FormatKind::q8_0:
      return from.scales.empty() ? pack_q8_blocks(from, first_row, n_rows, to)
                                 : pack_q8(from, first_row, n_rows, to);
  }
}

float packed_value(Format format, std::int64_t cols, const std::byte* packed, std::int64_t row,
                   std::int64_t col, std::int64_t tile_stride) {
  const std::byte* tile = packed + row / kLanes * tile_stride * tile_bytes(format, cols);
  const std::int64_t lane = row % kLanes;
  if (format.kind == FormatKind::f32) return read<float>(tile + (col * kLanes + lane) * 4);
  const Q8Layout layout(format);
  const std::byte* group = tile + col / layout.group * layout.group_bytes;
  const std::int64_t k = col % layout.group;
  const int code = std::to_integer<int>(group[(k / 4 * kLanes + lane) * 4 + k % 4]) - kZeroCode;
  return static_cast<float>(code) * read<float>(group + layout.codes_bytes + lane * 4);
}

}  // namespace llamajit::jit
