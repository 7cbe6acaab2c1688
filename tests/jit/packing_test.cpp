#include "jit/formats/packing.h"

#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/random_matrix.h"

namespace llamajit::test {
namespace {

using jit::Format;
using jit::FormatKind;
using jit::kLanes;

std::vector<Format> all_formats() {
  std::vector<Format> formats = {{FormatKind::f32, 0}};
  for (int group : kGroups) formats.push_back({FormatKind::q8_0, group});
  return formats;
}

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
    pack_tile(matrix.source(), tile, to.data());
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
  const jit::SourceMatrix off{GetParam(), 19, cols(), std::span(data).subspan(1),
                              std::span(scales).subspan(1)};
  std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(GetParam(), 19, cols())));
  for (int tile : {0, 1}) pack_tile(off, tile, packed.data() + tile * jit::tile_bytes(GetParam(), cols()));
  EXPECT_EQ(packed, matrix.packed());
}

INSTANTIATE_TEST_SUITE_P(Formats, Packing, testing::ValuesIn(all_formats()), [](const auto& shape) {
  return shape.param.group == 0 ? std::string("f32") : fmt::format("q8_0_{}", shape.param.group);
});

}  // namespace
}  // namespace llamajit::test
