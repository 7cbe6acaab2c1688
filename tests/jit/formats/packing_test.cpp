#include "jit/formats/packing.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/random_matrix.h"

namespace llamajit::test::packing_test {
namespace {

using jit::Format;
using jit::FormatKind;
using jit::kLanes;

class Packing : public testing::TestWithParam<Format> {
 protected:
  int cols() const { return GetParam().group == 0 ? 13 : 3 * GetParam().group; }
};

TEST_P(Packing, EveryValueIsWhereTheLayoutSays) {
  std::mt19937_64 random(1);
  for (int rows : {1, 2, 15, 16, 17, 33}) {
    const RandomMatrix matrix(GetParam(), rows, cols(), random);
    const std::vector<std::byte> packed = matrix.packed();
    for (int row = 0; row < rows; ++row) {
      for (int col = 0; col < cols(); ++col) {
        ASSERT_EQ(packed_value(GetParam(), cols(), packed.data(), row, col, 1),
                  static_cast<float>(matrix.value(row, col)))
            << fmt::format("{}: ({}, {}) of ({}, {})", to_string(GetParam()), row, col, rows, cols());
      }
    }
  }
}

TEST_P(Packing, RowsAreReadAtOnceAsTheirValuesOneByOne) {
  if (GetParam().kind == FormatKind::bf16_pairs) GTEST_SKIP() << "no file has pairs";
  std::mt19937_64 random(8);
  const RandomMatrix matrix(GetParam(), 18, cols(), random);
  const jit::SourceMatrix source = matrix.source();
  const std::vector<std::byte> packed = matrix.packed();
  std::vector<float> in_file(static_cast<std::size_t>(cols())), in_tiles(in_file.size());
  for (int row = 0; row < 18; ++row) {
    source_row(source, row, in_file);
    packed_row(GetParam(), packed.data(), row, 1, in_tiles);
    for (int col = 0; col < cols(); ++col) {
      const auto at = static_cast<std::size_t>(col);
      ASSERT_EQ(in_file[at], source_value(source, row, col)) << row << ", " << col;
      ASSERT_EQ(in_tiles[at], packed_value(GetParam(), cols(), packed.data(), row, col, 1))
          << row << ", " << col;
      ASSERT_EQ(in_file[at], in_tiles[at]) << row << ", " << col;
    }
  }
}

TEST_P(Packing, RowsBeyondTheMatrixAreZeros) {
  std::mt19937_64 random(2);
  for (int rows : {1, 5, 17}) {
    const std::vector<std::byte> packed = RandomMatrix(GetParam(), rows, cols(), random).packed();
    for (std::int64_t row = rows; row < jit::round_up(rows, kLanes); ++row) {
      for (int col = 0; col < cols(); ++col) {
        ASSERT_EQ(packed_value(GetParam(), cols(), packed.data(), row, col, 1), 0.0F) << row << ", " << col;
      }
    }
  }
}

TEST_P(Packing, ATileOutsideTheMatrixIsZeros) {
  std::mt19937_64 random(3);
  const RandomMatrix matrix(GetParam(), 16, cols(), random);
  for (std::int64_t tile : {1, 2, 9}) {
    std::vector<std::byte> to(static_cast<std::size_t>(jit::tile_bytes(GetParam(), cols())), std::byte{0xEE});
    matrix.pack_tile(tile, to.data());
    for (int row = 0; row < kLanes; ++row) {
      for (int col = 0; col < cols(); ++col)
        ASSERT_EQ(packed_value(GetParam(), cols(), to.data(), row, col, 1), 0.0F);
    }
  }
}

TEST_P(Packing, APairAlternatesItsTiles) {
  std::mt19937_64 random(4);
  const RandomMatrix gate(GetParam(), 35, cols(), random), up(GetParam(), 35, cols(), random);
  const std::vector<std::byte> packed = packed_pair(GetParam(), cols(), gate, up);
  const std::byte* second = packed.data() + jit::tile_bytes(GetParam(), cols());
  for (int row = 0; row < 35; ++row) {
    for (int col = 0; col < cols(); ++col) {
      ASSERT_EQ(packed_value(GetParam(), cols(), packed.data(), row, col, 2),
                static_cast<float>(gate.value(row, col)));
      ASSERT_EQ(packed_value(GetParam(), cols(), second, row, col, 2),
                static_cast<float>(up.value(row, col)));
    }
  }
}

TEST_P(Packing, TilesKeepToCacheLines) {
  EXPECT_EQ(jit::tile_bytes(GetParam(), cols()) % 64, 0);
  EXPECT_EQ(jit::packed_bytes(GetParam(), 17, cols()), 2 * jit::tile_bytes(GetParam(), cols()));
}

TEST_P(Packing, TheSourceNeedsNoAlignment) {
  std::mt19937_64 random(5);
  const RandomMatrix matrix(GetParam(), 19, cols(), random);
  const jit::SourceMatrix aligned = matrix.source();
  std::vector<std::byte> data(1), scales(1);
  data.insert(data.end(), aligned.data.begin(), aligned.data.end());
  scales.insert(scales.end(), aligned.scales.begin(), aligned.scales.end());
  const jit::SourceMatrix off{aligned.format, 19, cols(), std::span(data).subspan(1),
                              std::span(scales).subspan(1)};
  std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(GetParam(), 19, cols())));
  for (int tile : {0, 1}) {
    std::byte* const to = packed.data() + tile * jit::tile_bytes(GetParam(), cols());
    off.format == GetParam() ? pack_tile(off, tile, to) : pack_tile_as_pairs(off, tile, to);
  }
  EXPECT_EQ(packed, matrix.packed());
}

// Packs rows of ggml's blocks or 16-bit floats; each value must be the source's, exactly.
void expect_values_kept(const jit::SourceMatrix& source) {
  const Format packed_as = source.format;
  const std::int64_t tile = jit::tile_bytes(packed_as, source.cols);
  std::vector<std::byte> packed(static_cast<std::size_t>(packed_bytes(packed_as, source.rows, source.cols)),
                                std::byte{0xEE});
  for (std::int64_t t = 0; t * kLanes < source.rows; ++t) pack_tile(source, t, packed.data() + t * tile);
  for (std::int64_t row = 0; row < source.rows; ++row) {
    for (std::int64_t col = 0; col < source.cols; ++col) {
      const float value = packed_value(packed_as, source.cols, packed.data(), row, col, 1);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(value),
                std::bit_cast<std::uint32_t>(source_value(source, row, col)));
    }
  }
}

std::vector<std::byte> random_bytes(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(n);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(PackingOfStoredFormats, KeepsEveryValue) {
  for (const int rows : {1, 15, 16, 33}) {
    for (const int cols : {32, 96}) {
      const auto n = static_cast<std::size_t>(rows * cols);
      const std::vector<std::byte> bytes = random_bytes(n * 2, n);
      for (const FormatKind kind : {FormatKind::f16, FormatKind::bf16}) {
        expect_values_kept({{kind, 0}, rows, cols, bytes, {}});
      }
      expect_values_kept({{FormatKind::q8_0, 32}, rows, cols, std::span(bytes).first(n / 32 * 34), {}});
    }
  }
}

TEST(PackingAsPairs, RoundsEveryFormatOfFloats) {
  constexpr Format kPairs{FormatKind::bf16_pairs, 0};
  for (const FormatKind kind : {FormatKind::f32, FormatKind::f16, FormatKind::bf16}) {
    for (const int rows : {1, 16, 33}) {
      for (const int cols : {1, 2, 31, 32, 33, 64, 101}) {
        const auto n = static_cast<std::size_t>(rows * cols);
        const std::vector<std::byte> bytes = random_bytes(n * (kind == FormatKind::f32 ? 4 : 2), n);
        const jit::SourceMatrix source{{kind, 0}, rows, cols, bytes, {}};
        const std::int64_t tile = jit::tile_bytes(kPairs, cols);
        std::vector<std::byte> packed(static_cast<std::size_t>(packed_bytes(kPairs, rows, cols)),
                                      std::byte{0xEE});
        for (int t = 0; t * kLanes < rows; ++t) pack_tile_as_pairs(source, t, packed.data() + t * tile);
        for (int row = 0; row < rows; ++row) {
          for (int col = 0; col < cols; ++col) {
            const float value = source_value(source, row, col);
            // A bf16 has nothing to round, so that its NaNs stay what they are.
            const float expected =
                kind == FormatKind::bf16 ? value : jit::bfloat_to_float(jit::float_to_bfloat(value));
            ASSERT_EQ(std::bit_cast<std::uint32_t>(packed_value(kPairs, cols, packed.data(), row, col, 1)),
                      std::bit_cast<std::uint32_t>(expected))
                << to_string(source.format) << ", (" << row << ", " << col << ") of " << cols << " columns";
          }
        }
      }
    }
  }
}

// Whether the numbers of a tile are finite, one by one: values, or scales and minima of groups.
bool finite_one_by_one(Format format, std::int64_t cols, const std::byte* tile) {
  const jit::CodesLayout layout(format);
  const bool codes = has_codes(format);
  const std::int64_t n = codes                                   ? cols / layout.group
                         : format.kind == FormatKind::bf16_pairs ? cols + cols % 2
                                                                 : cols;
  for (int row = 0; row < kLanes; ++row) {
    for (std::int64_t i = 0; i < n; ++i) {
      const std::byte* const record = tile + i * layout.group_bytes;
      const bool finite = codes ? std::isfinite(packed_scale(layout, record, row)) &&
                                      std::isfinite(packed_min(layout, record, row))
                                : std::isfinite(packed_value(format, cols, tile, row, i, 1));
      if (!finite) return false;
    }
  }
  return true;
}

// Patterns that are NaN or infinite as one kind of float or another go to every place of a tile, and matter only
// where a number is read from them.
TEST_P(Packing, AllValuesAreFiniteOrNot) {
  std::mt19937_64 random(5);
  const RandomMatrix matrix(GetParam(), kLanes, cols(), random);
  const std::vector<std::byte> packed = matrix.packed();
  ASSERT_TRUE(jit::all_finite(GetParam(), cols(), packed.data()));
  int refused = 0;
  for (const std::uint32_t bits : {0x7F800000U, 0xFFC00001U, 0x7C007C00U, 0x7F807F80U, 0xFF7FFF7FU}) {
    for (std::size_t at = 0; at + 4 <= packed.size(); at += 4) {
      std::vector<std::byte> tile = packed;
      std::memcpy(tile.data() + at, &bits, sizeof bits);
      const bool finite = finite_one_by_one(GetParam(), cols(), tile.data());
      ASSERT_EQ(jit::all_finite(GetParam(), cols(), tile.data()), finite)
          << fmt::format("{}: {:08x} at {} of {}", to_string(GetParam()), bits, at, tile.size());
      refused += finite ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(PackingOfStoredFormats, ValuesAreWhatTheFormatSays) {
  // 1.5 and -0.25 in binary16 and in bfloat16.
  const std::vector<std::byte> halves{std::byte{0x00}, std::byte{0x3E}, std::byte{0x00}, std::byte{0xB4}};
  const std::vector<std::byte> bf16{std::byte{0xC0}, std::byte{0x3F}, std::byte{0x80}, std::byte{0xBE}};
  for (const auto& [kind, bytes] : {std::pair{FormatKind::f16, halves}, {FormatKind::bf16, bf16}}) {
    const jit::SourceMatrix source{{kind, 0}, 1, 2, bytes, {}};
    EXPECT_EQ(source_value(source, 0, 0), 1.5F);
    EXPECT_EQ(source_value(source, 0, 1), -0.25F);
  }
  // Two blocks with scales 0.5 and 2.
  std::vector<std::byte> blocks(68, std::byte{0});
  blocks[1] = std::byte{0x38};
  blocks[2 + 31] = std::byte{0xFD};  // -3
  blocks[34 + 1] = std::byte{0x40};
  blocks[34 + 2] = std::byte{0x07};
  const jit::SourceMatrix q8{{FormatKind::q8_0, 32}, 1, 64, blocks, {}};
  EXPECT_EQ(source_value(q8, 0, 31), -1.5F);
  EXPECT_EQ(source_value(q8, 0, 32), 14.0F);
  EXPECT_EQ(source_value(q8, 0, 33), 0.0F);
}

INSTANTIATE_TEST_SUITE_P(Formats, Packing, testing::ValuesIn(every_format()),
                         [](const auto& shape) { return name_of(shape.param); });

}  // namespace
}  // namespace llamajit::test::packing_test
