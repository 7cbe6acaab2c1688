#include "jit/formats/packing.h"

#include <algorithm>
#include <cstring>

#include <emmintrin.h>

#include "jit/kernels.h"

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

// to[i][row] = from[row][i] ^ flip for 4-byte units: one cache line of each of sixteen rows, `stride` bytes
// apart. As four times four transpositions of 4 x 4 in SSE2, which every x86-64 has.
void transpose_lines(std::byte* to, const std::byte* from, std::int64_t stride, std::uint32_t flip) {
  const __m128i flips = _mm_set1_epi32(static_cast<int>(flip));
  for (int unit = 0; unit < kLineUnits; unit += 4) {
    for (int row = 0; row < kLanes; row += 4) {
      const auto load = [&](int r) {
        const auto* at = reinterpret_cast<const __m128i*>(from + (row + r) * stride + std::int64_t{unit} * 4);
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
    if (n == kLineUnits && n_rows == kLanes) {
      transpose_lines(to + first * kLanes * 4, from + first * 4, stride, flip);
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

}  // namespace

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
  if (n_rows < kLanes) std::memset(to, 0, static_cast<std::size_t>(tile_bytes(from.format, from.cols)));
  if (from.format.kind == FormatKind::f32) {
    pack_f32(from, first_row, n_rows, to);
  } else {
    pack_q8(from, first_row, n_rows, to);
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
