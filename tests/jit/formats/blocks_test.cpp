// ggml's blocks apart into groups and together again.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/base/scalar_math.h"
#include "jit/formats/format.h"
#include "jit/formats/packing.h"
#include "tests/support/block_values.h"
#include "tests/support/random_matrix.h"

namespace llamajit::test::blocks_test {
namespace {

using jit::FormatKind;
using jit::FormatTraits;
using jit::Group;

// Where a format keeps the upper bytes of its floats, or what else has their exponents:
// without its second bit each is neither NaN nor infinite, whatever the others are.
std::vector<int> upper_bytes_of(FormatKind kind) {
  switch (kind) {
    case FormatKind::q4_1:
    case FormatKind::q5_1:
    case FormatKind::q4_k:
    case FormatKind::q5_k:
      return {1, 3};
    case FormatKind::q2_k:
      return {81, 83};
    case FormatKind::q3_k:
      return {109};
    case FormatKind::q6_k:
      return {209};
    case FormatKind::tq1_0:
      return {53};
    case FormatKind::tq2_0:
      return {65};
    case FormatKind::mxfp4:
      return {0};
    case FormatKind::iq1_m:
      return {55};
    case FormatKind::i2_s:
    case FormatKind::nvfp4:
    case FormatKind::iq2_ks:
    case FormatKind::iq3_ks:
    case FormatKind::iq4_ks:
    case FormatKind::iq4_kss:
    case FormatKind::iq5_ks:
      return {};
    case FormatKind::q4_0_f32:
      return {3};
    case FormatKind::q4_1_f32:
      return {3, 7};
    default:
      return {1};
  }
}

class Blocks : public testing::TestWithParam<FormatTraits> {
 protected:
  std::vector<std::byte> random_block() {
    std::vector<std::byte> block(static_cast<std::size_t>(GetParam().block_bytes));
    for (std::byte& byte : block) byte = static_cast<std::byte>(random_());
    for (int at : upper_bytes_of(GetParam().kind)) block[static_cast<std::size_t>(at)] &= std::byte{0xBF};
    if (GetParam().kind == FormatKind::tq1_0) {
      for (std::size_t i = 0; i < 52; ++i) block[i] = ternary_byte(i >= 48);
    }
    if (GetParam().kind == FormatKind::tq2_0 || GetParam().kind == FormatKind::i2_s) {
      const std::size_t of_codes = GetParam().kind == FormatKind::tq2_0 ? 64 : 32;
      for (std::size_t i = 0; i < of_codes; ++i) block[i] = byte_of_pairs();
    }
    if (GetParam().kind == FormatKind::nvfp4) block[0] = static_cast<std::byte>(random_() % 0x7F);
    return block;
  }

 private:
  // Not every byte is one of ternary digits: there are 243, or 81 of four digits.
  std::byte ternary_byte(bool four) {
    const auto number = static_cast<unsigned>(four ? random_() % 81 * 3 : random_() % 243);
    return static_cast<std::byte>((number * 256 + 242) / 243);
  }

  // Of four codes below 3.
  std::byte byte_of_pairs() {
    unsigned byte = 0;
    for (int pair = 0; pair < 4; ++pair) byte = byte << 2U | static_cast<unsigned>(random_() % 3);
    return static_cast<std::byte>(byte);
  }

  std::mt19937_64 random_{1};
};

TEST_P(Blocks, JoinIsTheInverseOfSplit) {
  for (int round = 0; round < 200; ++round) {
    const std::vector<std::byte> block = random_block();
    Group group;
    group.scale = 1;  // for those that leave it
    split_block(GetParam().kind, block.data(), group);
    std::vector<std::byte> joined(block.size());
    join_block(GetParam().kind, group, joined.data());
    ASSERT_EQ(joined, block) << round;
  }
}

TEST_P(Blocks, GroupsHaveTheBlocksValues) {
  for (int round = 0; round < 50; ++round) {
    const std::vector<std::byte> block = random_block();
    Group group;
    group.scale = 1;  // for those that leave it
    split_block(GetParam().kind, block.data(), group);
    for (int i = 0; i < GetParam().group; ++i) {
      ASSERT_EQ(group_value(GetParam(), group, i), block_value(GetParam().kind, block.data(), i)) << i;
    }
  }
}

TEST_P(Blocks, CodesAndFactorsAreInTheirRanges) {
  const int most = GetParam().kind == FormatKind::q1_0 ? 2 : (1 << GetParam().bits) - 1;
  const int subgroups = GetParam().group / GetParam().subgroup;
  for (int round = 0; round < 50; ++round) {
    Group group;
    split_block(GetParam().kind, random_block().data(), group);
    EXPECT_LE(*std::max_element(group.codes, group.codes + GetParam().group), most);
    if (!GetParam().has_subscales()) {
      EXPECT_EQ(group.subscales[0], 1);
    }
    for (int i = 0; GetParam().has_subscales() && i < subgroups; ++i) {
      EXPECT_LE(std::abs(group.subscales[i]), GetParam().largest_subscale);
      EXPECT_LE(group.subscales[i], GetParam().greatest_subscale());
    }
    for (int i = 0; GetParam().odd_products && i < GetParam().group; ++i) {
      EXPECT_EQ(group.subscales[i / GetParam().subgroup] & 1, 1);
      EXPECT_EQ((multiplied_code(GetParam(), group, i) - GetParam().zero) & 1, 1);
    }
    if (GetParam().mins == jit::Mins::none) {
      EXPECT_EQ(group.min, 0.0F);
    }
    for (int i = 0; i < subgroups; ++i) {
      EXPECT_LE(group.submins[i], GetParam().mins == jit::Mins::each ? 63 : 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, Blocks, testing::ValuesIn(jit::all_format_traits()),
                         [](const auto& format) { return std::string(format.param.name); });
INSTANTIATE_TEST_SUITE_P(LegacyFormats, Blocks,
                         testing::Values(*jit::format_traits(FormatKind::q4_0_f32),
                                         *jit::format_traits(FormatKind::q4_1_f32)),
                         [](const auto& format) {
                           return name_of({format.param.kind, format.param.group});
                         });

// Blocks of random bits have every entry of a grid; the hashes are of ggml's values of the same blocks.
TEST(GridFormats, ValuesAreThoseOfGgml) {
  const std::pair<FormatKind, std::uint64_t> cases[] = {
      {FormatKind::iq2_xxs, 0x384AA7B23E6275B9}, {FormatKind::iq2_xs, 0x1BB93F83E00351E5},
      {FormatKind::iq2_s, 0x88BB54FF13889FFD},   {FormatKind::iq3_xxs, 0x6CD032129751B08D},
      {FormatKind::iq3_s, 0x38A3CE9453BC3B75},   {FormatKind::iq1_s, 0x0B9FF513190A58C5},
      {FormatKind::iq1_m, 0x1C14F48F9E395265},
  };
  for (const auto& [kind, expected] : cases) {
    const FormatTraits& traits = *jit::format_traits(kind);
    std::mt19937_64 random(7);
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, of words
    std::vector<std::byte> block(static_cast<std::size_t>(traits.block_bytes));
    for (int round = 0; round < 1000; ++round) {
      for (std::byte& byte : block) byte = static_cast<std::byte>(random());
      for (const int at : upper_bytes_of(kind)) block[static_cast<std::size_t>(at)] &= std::byte{0xBF};
      const jit::SourceMatrix row{{kind, traits.group}, 1, traits.group, block, {}};
      for (int i = 0; i < traits.group; ++i) {
        hash = (hash ^ std::bit_cast<std::uint32_t>(source_value(row, 0, i))) * 0x100000001B3;
      }
    }
    EXPECT_EQ(hash, expected) << fmt::format("{}: {:#x}", traits.name, hash);
  }
}

// The same of rows of one block of ik_llama.cpp's. IQ6_K's, which it decodes to other numbers than it multiplies, aren't here.
TEST(LiftedFormats, ValuesAreThoseOfIkLlama) {
  const std::pair<FormatKind, std::uint64_t> cases[] = {
      {FormatKind::iq2_k, 0x2A54B332F8418DA5},   {FormatKind::iq3_k, 0x862F40AB8F2F7F7D},
      {FormatKind::iq4_k, 0x8842F13F5D959D7B},   {FormatKind::iq5_k, 0x632DCA63E69E56A9},
      {FormatKind::iq2_ks, 0xAD4F6E204EE91335},  {FormatKind::iq3_ks, 0x6E8CF6D6DEA54395},
      {FormatKind::iq4_ks, 0xF5EDE8A4F417982B},  {FormatKind::iq5_ks, 0xD3B84887338E6575},
      {FormatKind::iq4_kss, 0x01DA3A5F1B0B7FC2},
  };
  for (const auto& [kind, expected] : cases) {
    const FormatTraits& traits = *jit::format_traits(kind);
    std::mt19937_64 random(7);
    std::uint64_t hash = 0xCBF29CE484222325;
    std::vector<std::byte> row(static_cast<std::size_t>(traits.row_scale_bytes + traits.block_bytes));
    for (int round = 0; round < 1000; ++round) {
      for (std::byte& byte : row) byte = static_cast<std::byte>(random());
      row[traits.row_scale_bytes == 4 ? 3 : 1] &= std::byte{0xBF};
      const jit::SourceMatrix matrix{{kind, traits.group}, 1, traits.group, row, {}};
      for (int i = 0; i < traits.group; ++i) {
        hash = (hash ^ std::bit_cast<std::uint32_t>(source_value(matrix, 0, i))) * 0x100000001B3;
      }
    }
    EXPECT_EQ(hash, expected) << fmt::format("{}: {:#x}", traits.name, hash);
  }
}

}  // namespace
}  // namespace llamajit::test::blocks_test
