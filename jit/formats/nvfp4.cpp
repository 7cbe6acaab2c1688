// The scale, a byte; 8 bytes of nibbles, code i and code 8 + i in a byte. The codes are MXFP4's; so a group's scale is half of
// the block's. That one is a float of four bits of exponent and three of fraction, without a sign. Of its bits those above 0x7E
// stand for no number. Files have four such blocks in one another.
#include <algorithm>
#include <cmath>

#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 8;
constexpr unsigned kLargest = 0x7E, kNone = 0x7F;
constexpr unsigned kFractionBits = 3, kUnits = 1U << kFractionBits;
constexpr int kLeastExponent = -9;  // of a unit
constexpr std::uint32_t kNan = 0x7FC00000U;

float scale_of(unsigned bits) {
  if (bits > kLargest) return std::bit_cast<float>(kNan | bits);  // which remembers them
  const unsigned exponent = bits >> kFractionBits, fraction = bits % kUnits;
  const unsigned units = exponent == 0 ? fraction : kUnits + fraction;
  return std::ldexp(static_cast<float>(units), kLeastExponent + static_cast<int>(std::max(exponent, 1U)) - 2);
}
// Of the number that is nearest; of what is beyond them all, none's.
unsigned bits_of(float scale) {
  if (std::isnan(scale)) return std::max(std::bit_cast<std::uint32_t>(scale) & 0xFFU, kNone);
  const float x = std::min(2 * std::abs(scale), 1024.0F);
  if (x == 0) return 0;
  const int exponent = std::max(std::ilogb(x) - static_cast<int>(kFractionBits), kLeastExponent);
  const auto units = static_cast<unsigned>(std::lround(std::ldexp(x, -exponent)));
  // What is rounded up to twice the least fraction has the next exponent, by itself.
  return std::min(units + kUnits * static_cast<unsigned>(exponent - kLeastExponent), kNone);
}

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = scale_of(std::to_integer<unsigned>(block[0]));
  split_nibbles<kBytes>(block + 1, to.codes);
}

void join(const Group& from, std::byte* block) {
  block[0] = static_cast<std::byte>(bits_of(from.scale));
  join_nibbles<kBytes>(from.codes, block + 1);
}

}  // namespace

const BlockLayout kNvfp4Layout = {split, join};

}  // namespace llamajit::jit
