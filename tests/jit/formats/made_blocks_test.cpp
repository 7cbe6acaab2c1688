// Blocks made by hand, so that the two readers of blocks_test.cpp can't be wrong together.
#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "jit/base/scalar_math.h"
#include "jit/formats/format.h"
#include "jit/formats/packing.h"
#include "tests/support/block_values.h"

namespace llamajit::test::made_blocks_test {
namespace {

using jit::FormatKind;
using jit::Group;

std::vector<std::byte> zeros_with_scale(FormatKind kind, int at) {
  std::vector<std::byte> block(static_cast<std::size_t>(jit::format_traits(kind)->block_bytes));
  block[static_cast<std::size_t>(at) + 1] = std::byte{0x3C};  // 1.0
  return block;
}
std::vector<double> values(FormatKind kind, const std::vector<std::byte>& block,
                           std::initializer_list<int> which) {
  Group group;
  group.scale = 1;
  split_block(kind, block.data(), group);
  std::vector<double> found;
  for (int i : which) found.push_back(group_value(*jit::format_traits(kind), group, i));
  return found;
}
using Values = std::vector<double>;

TEST(HandMadeBlocks, NibblesOfBothHalves) {
  auto block = zeros_with_scale(FormatKind::q4_0, 0);
  block[2] = std::byte{0xF1};
  block[17] = std::byte{0x2A};
  EXPECT_EQ(values(FormatKind::q4_0, block, {0, 1, 15, 16, 31}), (Values{-7, -8, 2, 7, -6}));
  EXPECT_EQ(values(FormatKind::iq4_nl, block, {0, 1, 15, 16, 31}), (Values{-104, -127, 25, 113, -83}));
}

TEST(HandMadeBlocks, NibblesOfNeighbours) {
  std::vector<std::byte> block(24);
  const float min = -0.1F, scale = 0.7F;
  std::memcpy(block.data(), &scale, sizeof scale);
  block[4] = std::byte{0xF1};
  block[19] = std::byte{0x2A};
  EXPECT_EQ(values(FormatKind::q4_0_f32, block, {0, 1, 2, 30, 31}),
            (Values{-7.0 * scale, 7.0 * scale, -8.0 * scale, 2.0 * scale, -6.0 * scale}));
  block.assign(24, std::byte{0});
  std::memcpy(block.data(), &min, sizeof min);
  std::memcpy(block.data() + 4, &scale, sizeof scale);
  block[23] = std::byte{0x2A};
  EXPECT_EQ(values(FormatKind::q4_1_f32, block, {0, 30, 31}),
            (Values{double{min}, 10.0 * scale + min, 2.0 * scale + min}));
}

TEST(HandMadeBlocks, FifthBitsOfQ5) {
  auto block = zeros_with_scale(FormatKind::q5_0, 0);
  block[2] = std::byte{0x02};  // weight 1
  block[5] = std::byte{0x80};  // weight 31
  block[7] = std::byte{0x05};  // weights 1 and 17
  EXPECT_EQ(values(FormatKind::q5_0, block, {0, 1, 17, 31}), (Values{-16, 5, -16, 0}));
}

TEST(HandMadeBlocks, SubscalesAndSubminsOfQ2K) {
  auto block = zeros_with_scale(FormatKind::q2_k, 80);
  block[83] = std::byte{0x40};            // min 2
  block[9] = std::byte{0x35};             // weights 144-159: subscale 5, submin 3
  block[16 + 32 + 16] = std::byte{0x03};  // weight 144
  block[16 + 32 + 17] = std::byte{0x80};  // weight 128 + 96 + 17 = 241
  block[15] = std::byte{0x0F};            // weights 240-255: subscale 15
  EXPECT_EQ(values(FormatKind::q2_k, block, {143, 144, 145, 241, 242}), (Values{0, 15 - 6, -6, 30, 0}));
}

TEST(HandMadeBlocks, SubscalesOfQ3K) {
  auto block = zeros_with_scale(FormatKind::q3_k, 108);
  block[96] = std::byte{0xA0};   // weights 128-143: subscale 8's nibble 10
  block[104] = std::byte{0x20};  // its upper bits 2: 42 - 32 = 10
  block[0] = std::byte{0x10};    // weight 128: third bit, so 0 and not -4
  block[32 + 32] = std::byte{0x01};
  EXPECT_EQ(values(FormatKind::q3_k, block, {0, 128, 129}), (Values{128, 10, -40}));
}

TEST(HandMadeBlocks, SubscalesOfQ4KAndQ5K) {
  auto block = zeros_with_scale(FormatKind::q4_k, 0);
  block[3] = std::byte{0x3C};        // min 1
  block[5] = std::byte{0xC2};        // subscale 1 = 2, upper bits of subscale 5
  block[9] = std::byte{0x43};        // submin 1 = 3, upper bits of submin 5
  block[13] = std::byte{0x71};       // subscale 5 = 49, submin 5 = 16 + 7
  block[16] = std::byte{0x50};       // weight 32
  block[16 + 64] = std::byte{0x20};  // weight 160
  EXPECT_EQ(values(FormatKind::q4_k, block, {0, 32, 33, 160}), (Values{0, 10 - 3, -3, 98 - 23}));
}

TEST(HandMadeBlocks, BothPartsOfQ6KsCodes) {
  auto block = zeros_with_scale(FormatKind::q6_k, 208);
  block[192 + 2] = std::byte{0xFF};  // weights 32-47: -1
  block[32] = std::byte{0x05};
  block[128] = std::byte{0x0C};  // pair 1: weight 32
  EXPECT_EQ(values(FormatKind::q6_k, block, {0, 32, 33}), (Values{0, -(48 + 5 - 32), 32}));
}

TEST(HandMadeBlocks, SubscalesOfIq4Xs) {
  auto block = zeros_with_scale(FormatKind::iq4_xs, 0);
  block[3] = std::byte{0x80};        // subscale 7: upper bits 2
  block[7] = std::byte{0x30};        // and nibble 3: 35 - 32
  block[8 + 112] = std::byte{0x8F};  // weights 224 and 240
  EXPECT_EQ(values(FormatKind::iq4_xs, block, {0, 224, 240}), (Values{-32 * -127, 3 * 113, 3}));
}

TEST(HandMadeBlocks, ExponentsAndFloatsOfMxfp4) {
  std::vector<std::byte> block(17);
  for (std::size_t i = 0; i < 16; ++i) block[1 + i] = static_cast<std::byte>(i << 4U | (15 - i));
  const Values magnitudes = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (const int exponent : {0, 1, 2, 126, 127, 128, 254}) {
    block[0] = static_cast<std::byte>(exponent);
    for (int code = 0; code < 16; ++code) {
      const double value = std::ldexp(magnitudes[static_cast<std::size_t>(code % 8)], exponent - 127);
      EXPECT_EQ(values(FormatKind::mxfp4, block, {15 - code, 16 + code}),
                Values(2, code < 8 ? value : -value))
          << exponent << ", " << code;
    }
  }
}

// Packed floats of sixteen bits hold the smallest and the largest exponent, and that which is no number.
TEST(HandMadeBlocks, ExponentsOfMxfp4ArePacked) {
  for (const int exponent : {0, 1, 2, 127, 254, 255}) {
    std::vector<std::byte> blocks(16 * 17, std::byte{0x22});  // 1.0
    for (std::size_t row = 0; row < 16; ++row) blocks[row * 17] = std::byte{127};
    blocks[5 * 17] = static_cast<std::byte>(exponent);
    const jit::Format format{FormatKind::mxfp4, 32};
    std::vector<std::byte> tile(static_cast<std::size_t>(jit::tile_bytes(format, 32)));
    jit::pack_tile({format, 16, 32, blocks, {}}, 0, tile.data());
    EXPECT_EQ(jit::all_finite(format, 32, tile.data()), exponent < 255) << exponent;
    Group group;
    split_block(FormatKind::mxfp4, &blocks[5 * 17], group);
    std::vector<std::byte> joined(17);
    join_block(FormatKind::mxfp4, group, joined.data());
    EXPECT_EQ(joined, std::vector<std::byte>(&blocks[5 * 17], &blocks[6 * 17]));
    if (exponent == 255) continue;
    EXPECT_EQ(jit::packed_value(format, 32, tile.data(), 5, 7, 1), std::ldexp(1.0F, exponent - 127));
  }
}

// Its floats have no sign; the least is a 512th, and half of each is the group's scale. Of what is no number every bit is kept.
TEST(HandMadeBlocks, ScalesOfNvfp4) {
  const jit::Format format{FormatKind::nvfp4, 16};
  const std::pair<int, double> scales[] = {{0x00, 0.0}, {0x01, 0x1p-9}, {0x07, 7 * 0x1p-9}, {0x08, 0x1p-6},
                                           {0x38, 1.0}, {0x3B, 1.375},  {0x77, 240.0},      {0x7E, 448.0},
                                           {0x7F, NAN}, {0x80, NAN},    {0xB8, NAN},        {0xFF, NAN}};
  for (const auto& [bits, scale] : scales) {
    std::vector<std::byte> block(9, std::byte{0x22});  // 1.0
    block[0] = static_cast<std::byte>(bits);
    block[8] = std::byte{0xF7};  // 6 and -6
    Group group;
    split_block(FormatKind::nvfp4, block.data(), group);
    std::vector<std::byte> joined(9);
    join_block(FormatKind::nvfp4, group, joined.data());
    EXPECT_EQ(joined, block) << bits;
    std::vector<std::byte> rows;
    for (int row = 0; row < 16; ++row) rows.insert(rows.end(), block.begin(), block.end());
    std::vector<std::byte> tile(static_cast<std::size_t>(jit::tile_bytes(format, 16)));
    jit::pack_tile({format, 16, 16, rows, {}}, 0, tile.data());
    EXPECT_EQ(jit::all_finite(format, 16, tile.data()), !std::isnan(scale)) << bits;
    if (std::isnan(scale)) continue;
    EXPECT_EQ(values(FormatKind::nvfp4, block, {0, 7, 14, 15}),
              (Values{scale, 6 * scale, scale, -6 * scale}));
    EXPECT_EQ(jit::packed_value(format, 16, tile.data(), 3, 7, 1), static_cast<float>(6 * scale));
  }
}

// The nearest one of a scale that no block has.
TEST(HandMadeBlocks, ScalesOfNvfp4AreRounded) {
  const std::pair<float, int> scales[] = {{0x1p-12F, 0x00}, {0x1.8p-10F, 0x02}, {0x1.Fp-8F, 0x08},
                                          {0.51F, 0x38},    {0.54F, 0x39},      {0.999F, 0x40},
                                          {230.0F, 0x7E},   {500.0F, 0x7F},     {-0.5F, 0x38}};
  for (const auto& [scale, bits] : scales) {
    Group group{};
    group.scale = scale;
    std::vector<std::byte> block(9);
    join_block(FormatKind::nvfp4, group, block.data());
    EXPECT_EQ(std::to_integer<int>(block[0]), bits) << scale;
  }
}

// In a row of 128 weights of a file: four scales, and then the codes that they go with, twice.
TEST(HandMadeRows, FourBlocksOfNvfp4LieInOneAnother) {
  std::vector<std::byte> row(72);
  for (int g = 0; g < 8; ++g) {
    row[static_cast<std::size_t>(g / 4 * 36 + g % 4)] =
        static_cast<std::byte>(0x38 + 8 * (g % 4));  // 1, 2, 4, 8
    row[static_cast<std::size_t>(g / 4 * 36 + 4 + g % 4 * 8 + 1)] = static_cast<std::byte>(g << 4U | 2);
  }
  const jit::SourceMatrix matrix{{FormatKind::nvfp4, 16}, 1, 128, row, {}};
  constexpr float kMagnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (int g = 0; g < 8; ++g) {
    const auto scale = static_cast<float>(1 << g % 4);
    EXPECT_EQ(source_value(matrix, 0, 16 * g), 0.0F);
    EXPECT_EQ(source_value(matrix, 0, 16 * g + 1), scale);
    EXPECT_EQ(source_value(matrix, 0, 16 * g + 9), scale * kMagnitudes[g]);
  }
}

// Behind the row's scale, in halves or whole floats.
TEST(HandMadeRows, HaveTheirScaleInFront) {
  std::vector<std::byte> rows(std::size_t{2} * (4 + 136));
  const float scales[] = {0.5F, 3.0F};
  for (std::size_t row = 0; row < 2; ++row) {
    std::memcpy(&rows[row * 140], &scales[row], sizeof scales[row]);
    rows[row * 140 + 4 + 7] = std::byte{129};         // weights 224-255: 1, lifted
    rows[row * 140 + 4 + 8 + 112] = std::byte{0x8F};  // weights 224 and 240
  }
  const jit::SourceMatrix matrix{{FormatKind::iq4_ks, 256}, 2, 256, rows, {}};
  EXPECT_EQ(source_value(matrix, 0, 224), 0.5F * (113 + 4));
  EXPECT_EQ(source_value(matrix, 1, 240), 3.0F * (1 + 4));
  EXPECT_EQ(source_value(matrix, 1, 0), 3.0F * -127 * -127);
  std::vector<std::byte> half(2 + 70);
  half[1] = std::byte{0xC0};           // -2
  half[2 + 1] = std::byte{0x80};       // weights 224-255: the fifth bit of the subscale
  half[2 + 5] = std::byte{0x50};       // and 5, so 5
  half[2 + 6 + 32] = std::byte{0xC0};  // weight 224: the last
  const jit::SourceMatrix of_halves{{FormatKind::iq2_ks, 256}, 1, 256, half, {}};
  EXPECT_EQ(source_value(of_halves, 0, 224), -2.0F * 5 * 17);
}

TEST(HandMadeBlocks, TernaryDigits) {
  auto block = zeros_with_scale(FormatKind::tq1_0, 52);
  // Digits 2 1 0 2 1: 2*81 + 27 + 6 + 1 = 196 of 243.
  block[1] = block[32] = std::byte{(196 * 256 + 242) / 243};
  // Digits 0 2 1 2: 0 + 54 + 9 + 6 = 69.
  block[51] = std::byte{(69 * 256 + 242) / 243};
  EXPECT_EQ(values(FormatKind::tq1_0, block, {1, 33, 65, 97, 129}), (Values{1, 0, -1, 1, 0}));
  EXPECT_EQ(values(FormatKind::tq1_0, block, {160, 176, 192, 208, 224}), (Values{1, 0, -1, 1, 0}));
  EXPECT_EQ(values(FormatKind::tq1_0, block, {243, 247, 251, 255}), (Values{-1, 1, 0, 1}));
}

// Codes of two bits can be 3, which no ternary format has: the block then has no values, and loading refuses it.
TEST(HandMadeBlocks, TernaryCodesAreBelowThree) {
  for (const auto& [kind, bytes] : {std::pair{FormatKind::tq2_0, 66}, {FormatKind::i2_s, 32}}) {
    for (const int byte : {0, 31}) {
      for (int pair = 0; pair < 4; ++pair) {
        std::vector<std::byte> block(static_cast<std::size_t>(bytes), std::byte{0x55});
        block[static_cast<std::size_t>(byte)] |= static_cast<std::byte>(3 << 2 * pair);
        Group group;
        group.scale = 1;
        split_block(kind, block.data(), group);
        EXPECT_TRUE(std::isnan(group.scale));
        std::vector<std::byte> joined(block.size());
        join_block(kind, group, joined.data());
        EXPECT_EQ(joined, block);
        const int cols = jit::format_traits(kind)->group;
        const float one = 1;
        const jit::SourceMatrix source{{kind, cols}, 1, cols, block, std::as_bytes(std::span(&one, 1))};
        EXPECT_TRUE(std::isnan(source_value(source, 0, 0)));
        std::vector<std::byte> tile(static_cast<std::size_t>(jit::tile_bytes(source.format, cols)));
        jit::pack_tile(source, 0, tile.data());
        EXPECT_FALSE(jit::all_finite(source.format, cols, tile.data()));
      }
    }
  }
}

TEST(HandMadeBlocks, OneAndTwoBits) {
  auto block = zeros_with_scale(FormatKind::q1_0, 0);
  block[3] = std::byte{0x81};
  EXPECT_EQ(values(FormatKind::q1_0, block, {7, 8, 9, 15, 16}), (Values{-1, 1, -1, 1, -1}));
  EXPECT_EQ(values(FormatKind::q2_0, block, {3, 4, 5, 6, 7}), (Values{-1, 0, -1, -1, 1}));
  std::vector<std::byte> i2_s(32);
  i2_s[1] = std::byte{0x86};  // 2 0 1 2
  EXPECT_EQ(values(FormatKind::i2_s, i2_s, {0, 1, 33, 65, 97}), (Values{-1, 1, -1, 0, 1}));
}

}  // namespace
}  // namespace llamajit::test::made_blocks_test
