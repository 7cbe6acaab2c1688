// The quantiser's bytes, which are the same on every machine and from one version to the next.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/formats/format.h"
#include "tests/support/quantized_weights.h"

namespace llamajit::test::quantizer_bytes_test {
namespace {

using jit::FormatKind;

// FNV's.
std::uint64_t checksum(const std::vector<std::byte>& bytes) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const std::byte byte : bytes) sum = (sum ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  return sum;
}

// As they were before anything was weighed; where levels are few, since sizes count there without importances, too.
TEST(QuantizerWithoutImportance, HasTheseBytes) {
  const std::pair<FormatKind, std::uint64_t> had[] = {
      {FormatKind::q8_0, 0x4d1722f44e084152},   {FormatKind::q4_0, 0x45d1620cde5593c8},
      {FormatKind::q4_1, 0x1a01339eca2b5a3f},   {FormatKind::q5_0, 0xe54912a0f0458f30},
      {FormatKind::q5_1, 0xa7f314d7548e1306},   {FormatKind::q2_k, 0x3201dab1b6250248},
      {FormatKind::q3_k, 0x2aa7ccbf08c0d85d},   {FormatKind::q4_k, 0xf5e9422247226986},
      {FormatKind::q5_k, 0x11482e7652d18b84},   {FormatKind::q6_k, 0x9f0541d654309b76},
      {FormatKind::iq4_nl, 0x910314982fa644dc}, {FormatKind::iq4_xs, 0xb12b11c065dbe929},
      {FormatKind::tq1_0, 0x6809d681e76439f5},  {FormatKind::tq2_0, 0x6977dce1ebd266a4},
      {FormatKind::q1_0, 0xe7d7c50686ad220f},   {FormatKind::q2_0, 0xdd3c6ec61582e71a},
      {FormatKind::mxfp4, 0x63ab2ec089259239},  {FormatKind::i2_s, 0x0f9e347e1cdfa926},
  };
  for (const auto& [kind, sum] : had) {
    EXPECT_EQ(checksum(blocks_of(kind, plain_weights())), sum) << jit::format_traits(kind)->name;
  }
}

// Without importances and with some.
struct ExpectedSums {
  FormatKind kind;
  std::uint64_t plain, weighed;
};
// The same on every machine, though they are found by many comparisons of sums.
void expect_sums(std::span<const ExpectedSums> expected) {
  const std::vector<float> x = plain_weights();
  std::vector<float> importance(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) importance[i] = static_cast<float>(1 + i * 7 % 32);
  for (const ExpectedSums& sums : expected) {
    const auto name = jit::format_traits(sums.kind)->name;
    const std::uint64_t without = checksum(blocks_of(sums.kind, x)),
                        with = checksum(blocks_of(sums.kind, x, importance));
    EXPECT_EQ(without, sums.plain) << fmt::format("{}: {:#x}", name, without);
    EXPECT_EQ(with, sums.weighed) << fmt::format("{}: {:#x}", name, with);
  }
}

TEST(GridQuantizer, HasTheSameBytesEverywhere) {
  constexpr ExpectedSums kExpected[] = {
      {FormatKind::iq1_s, 0xdf75f27aaf2f1d47, 0x5722dffbf25439aa},
      {FormatKind::iq1_m, 0x023173b3e7ba0946, 0xbbbf0ebd2202fad7},
      {FormatKind::iq2_xxs, 0x45cd13461baaed35, 0x10dda3343429aa38},
      {FormatKind::iq2_xs, 0x42de1debca8db79e, 0xacb5d067ddbb9353},
      {FormatKind::iq2_s, 0x92f32bd4ade5b339, 0x8b68f7c536bc8c09},
      {FormatKind::iq3_xxs, 0xe3f65598eadf223f, 0x0ba955866a1a627a},
      {FormatKind::iq3_s, 0xcb5801cd1ce63cb8, 0x27142a761521f4f1},
  };
  expect_sums(kExpected);
}

TEST(LiftedQuantizer, HasTheSameBytesEverywhere) {
  constexpr ExpectedSums kExpected[] = {
      {FormatKind::iq2_k, 0xe04f04dc8e4688e5, 0xc0a958dfd0268300},
      {FormatKind::iq3_k, 0x8984b1cfb3ef8921, 0x99ccc4cfe106679d},
      {FormatKind::iq4_k, 0x5c9002f94dd267c5, 0xb8a34519f1ad21d4},
      {FormatKind::iq5_k, 0x3e646288117ff39e, 0x53b2b5ac124726c9},
      {FormatKind::iq6_k, 0x0499bec1ce8f0ff5, 0x562632e0daa84e15},
      {FormatKind::iq2_ks, 0xa943165906a4a2f7, 0x8eaa089440448131},
      {FormatKind::iq3_ks, 0xb1385d4c08015fa2, 0x815b3717222f1f75},
      {FormatKind::iq4_ks, 0xba27790a9e872daf, 0xb704a69f606b0f20},
      {FormatKind::iq4_kss, 0xbf201f2f426d90a4, 0xd04f5e206a01180d},
      {FormatKind::iq5_ks, 0xc8924c51f538987b, 0x23b0ac817d26b621},
  };
  expect_sums(kExpected);
}

}  // namespace
}  // namespace llamajit::test::quantizer_bytes_test
