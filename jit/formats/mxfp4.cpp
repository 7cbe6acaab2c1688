// The scale's exponent, a byte; 16 bytes of nibbles, code i and code 16 + i in a byte. The codes stand for 0,
// 0.5, 1, 1.5, 2, 3, 4 and 6, those from 8 on for the same with a minus. The codebook has twice that, as
// integers; so a group's scale is half of the block's. The exponent 255 stands for no number.
#include <algorithm>

#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;
constexpr std::uint32_t kNone = 255;

// 2^(exponent - 128). The first two are subnormal.
float scale_of(std::uint32_t exponent) {
  if (exponent == kNone) return std::bit_cast<float>(0x7FC00000U);
  return std::bit_cast<float>(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23U);
}
// Of a scale between two such numbers, the lower one's.
std::uint32_t exponent_of(float scale) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(scale) & 0x7FFFFFFFU;
  return bits < 0x00800000U ? bits >> 22U : std::min((bits >> 23U) + 1, kNone);
}

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = scale_of(std::to_integer<std::uint32_t>(block[0]));
  split_nibbles<kBytes>(block + 1, to.codes);
}

void join(const Group& from, std::byte* block) {
  block[0] = static_cast<std::byte>(exponent_of(from.scale));
  join_nibbles<kBytes>(from.codes, block + 1);
}

}  // namespace

const Codebook kFp4Codebook = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

const BlockLayout kMxfp4Layout = {split, join};

}  // namespace llamajit::jit
