#include "jit/formats/packing.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <emmintrin.h>

#include "jit/base/scalar_math.h"
#include "jit/formats/activations.h"
#include "jit/formats/rows.h"
#include "jit/formats/stored_numbers.h"
#include "jit/formats/triples.h"

namespace llamajit::jit {
namespace {

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
        write_at(to + ((first + i) * kLanes + row) * 4, read_at<std::uint32_t>(line + i * 4) ^ flip);
      }
    }
  }
}

// --- floats

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
        write_at(to + (col * kLanes + row) * 2, read_at<std::uint16_t>(rows + (row * from.cols + col) * 2));
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

constexpr std::uint32_t kFlipCodes = 0x80808080;  // s8 to u8: code + 128

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
      write_at(record + layout.scale_at + row * 2, read_at<std::uint16_t>(blocks + row * row_bytes));
    }
  }
}

// One row's words of a plane, of all its vectors: each code's bits of this plane, steps beside each other. The
// numbers of bits and codes are no variables, so that the compiler makes vectors of the loops.
template <int kBits, int kGroup>
void gather_plane(int shift, const std::uint8_t* codes, std::uint32_t* words) {
  constexpr int kSteps = 8 / kBits, kVectors = kGroup / 4 / kSteps;
  constexpr std::uint32_t kMask = ((1U << kBits) - 1) * 0x01010101U;
  std::array<std::uint32_t, kGroup / 4> steps;
  std::memcpy(steps.data(), codes, kGroup);
  for (std::size_t vector = 0; vector < kVectors; ++vector) {
    std::uint32_t word = 0;
    for (std::size_t slot = 0; slot < kSteps; ++slot) {
      word |= (steps[vector * kSteps + slot] >> shift & kMask) << (slot * kBits);
    }
    words[vector] = word;
  }
}

using GatherPlane = void (*)(int shift, const std::uint8_t* codes, std::uint32_t* words);
template <int kGroup>
GatherPlane gather_of_bits(int bits) {
  return bits == 1 ? gather_plane<1, kGroup> : bits == 2 ? gather_plane<2, kGroup> : gather_plane<4, kGroup>;
}
// Codes of eight bits are not taken apart.
GatherPlane gather_of(int bits, int group) {
  switch (group) {
    case 16:
      return gather_of_bits<16>(bits);
    case 32:
      return gather_of_bits<32>(bits);
    case 64:
      return gather_of_bits<64>(bits);
    case 128:
      return gather_of_bits<128>(bits);
    default:
      return gather_of_bits<256>(bits);
  }
}

// Writes a row's triples. The sums of bytes below are those of each of four columns, none of which carries.
void write_triples(const CodesLayout& layout, const std::uint8_t* codes, std::int64_t row,
                   std::byte* record) {
  constexpr std::uint32_t kEachByte = 0x01010101U;
  const auto half = static_cast<unsigned>(row / Triple::kHalf);
  for (int block = 0; block < layout.triple_steps / Triple::kBlockSteps; ++block) {
    std::array<std::uint32_t, Triple::kBlockSteps> steps;
    std::memcpy(steps.data(), codes + block * sizeof steps, sizeof steps);
    std::array<std::uint32_t, 2> lower{};
    std::uint32_t fifths = 0;
    for (std::size_t i = 0; i < Triple::kBlock; ++i) {
      const std::uint32_t pair = 3 * steps[3 * i + 1] + steps[3 * i + 2];
      const std::uint32_t fifth = (pair + 3 * kEachByte) >> 3U & kEachByte;  // whether it is 5 or more
      lower[i / 2] |= (5 * steps[3 * i] + pair - 5 * fifth) << (i % 2 * 4);
      fifths |= fifth << i;
    }
    const Triple first(block * Triple::kBlock);
    for (std::size_t v = 0; v < lower.size(); ++v)
      write_at(record + first.lower_at + (static_cast<std::int64_t>(v) * kLanes + row) * 4, lower[v]);
    std::byte* const to = record + first.fifths_at + row % Triple::kHalf * 4;
    const std::uint32_t others = half > 0 ? read_at<std::uint32_t>(to) : 0;
    write_at(to, others | fifths << (4 * half));
  }
}

using SmallNumberRows = std::array<std::array<std::uint8_t, Group::kMostSubgroups>, kLanes>;

// The groups of sixteen rows that stand beside each other, taken apart: a tile's record before it is written.
struct Rows {
  static constexpr int kMostVectors = Group::kMost / 4 / 2;  // of a plane of four bits
  std::array<std::array<std::array<std::uint32_t, kMostVectors>, kLanes>, 2> words;  // of planes
  SmallNumberRows subscales, submins;
  std::array<std::uint16_t, kLanes> lifted{};
  std::array<float, kLanes> scales{}, mins{};
};

void write_floats(FormatKind kind, const std::array<float, kLanes>& from, std::int64_t n_rows,
                  std::byte* to) {
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const float x = from[static_cast<std::size_t>(row)];
    if (kind == FormatKind::f32) {
      write_at(to + row * 4, x);
    } else {
      write_at(to + row * 2, kind == FormatKind::f16 ? float_to_half(x) : float_to_bfloat(x));
    }
  }
}

void write_small_numbers(const CodesLayout& layout, const SmallNumbers& numbers, const SmallNumberRows& from,
                         std::int64_t n_rows, std::byte* record) {
  const auto mask = static_cast<std::byte>(((1 << numbers.bits) - 1) << numbers.shift);
  for (int s = 0; s < layout.subgroups(); ++s) {
    std::byte* const to = record + numbers.at_subgroup(s);
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const auto number =
          static_cast<std::byte>(from[static_cast<std::size_t>(row)][static_cast<std::size_t>(s)]);
      std::byte& byte = to[row * numbers.row_bytes()];
      byte = numbers.bits == 8 ? number : (byte & ~mask) | (number << numbers.shift & mask);
    }
  }
}

// Sixteen rows are more streams than the processor follows by itself. What lies behind the file is not
// touched by asking for it.
constexpr std::int64_t kAhead = 512;

void pack_blocks(const SourceMatrix& from, std::int64_t first_row, std::int64_t n_rows, std::byte* to) {
  const CodesLayout layout(from.format);
  const std::int64_t n_groups = from.cols / layout.group;
  const BlockRows source(from.format.kind, from.cols);
  const std::int64_t row_bytes = source.row_bytes();
  std::array<GatherPlane, 2> gather{};
  for (std::size_t p = 0; p < layout.planes().size(); ++p)
    gather[p] = gather_of(layout.planes()[p].bits, layout.group - 4 * layout.triple_steps);
  Rows rows;
  Group group;
  group.scale = from.scales.empty() ? 0.0F : read_at<float>(from.scales.data());  // i2_s: of the matrix
  for (std::int64_t g = 0; g < n_groups; ++g) {
    std::byte* const record = to + g * layout.group_bytes;
    for (std::int64_t row = 0; row < n_rows; ++row) {
      const auto r = static_cast<std::size_t>(row);
      const std::byte* const blocks = from.data.data() + (first_row + row) * row_bytes;
      __builtin_prefetch(blocks + source.group_at(g) + kAhead);
      source.split(blocks, g, group);
      for (std::size_t p = 0; p < layout.planes().size(); ++p) {
        gather[p](layout.planes()[p].position + layout.shift,
                  group.codes + std::ptrdiff_t{4} * layout.triple_steps, rows.words[p][r].data());
      }
      if (layout.triple_steps > 0) write_triples(layout, group.codes, row, record);
      if (layout.subscales) {
        std::memcpy(rows.subscales[r].data(), group.subscales, sizeof group.subscales);
        std::memcpy(rows.submins[r].data(), group.submins, sizeof group.submins);
      }
      if (layout.lift > 0) rows.lifted[r] = group.lifted;
      rows.scales[r] = group.scale;
      rows.mins[r] = group.min;
    }
    for (std::size_t p = 0; p < layout.planes().size(); ++p) {
      const Plane& plane = layout.planes()[p];
      transpose_units(record + plane.at, reinterpret_cast<const std::byte*>(rows.words[p].data()),
                      sizeof rows.words[p][0], n_rows, (layout.steps() - layout.triple_steps) / plane.steps(),
                      0);
    }
    if (layout.subscales) write_small_numbers(layout, layout.subscales, rows.subscales, n_rows, record);
    if (layout.submins) write_small_numbers(layout, layout.submins, rows.submins, n_rows, record);
    if (layout.lift > 0) {
      std::memcpy(record + layout.lifted_at, rows.lifted.data(),
                  static_cast<std::size_t>(n_rows) * sizeof rows.lifted[0]);
    }
    write_floats(layout.floats, rows.scales, n_rows, record + layout.scale_at);
    if (layout.min_at > 0) write_floats(layout.floats, rows.mins, n_rows, record + layout.min_at);
  }
}

}  // namespace

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

}  // namespace llamajit::jit
