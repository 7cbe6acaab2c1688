// f16 scale; u16 of the upper two bits of eight subscales of six bits, plus 32; 4 bytes of their nibbles; 128
// bytes of codes, of which 16 bytes hold 32 weights: the low nibbles the first 16. The codes are IQ4_NL's.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16, kSubgroups = 8;
constexpr std::size_t kHigh = 2, kLow = 4, kCodes = 8;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block);
  const auto high = Bytes<2>::load(block + kHigh);
  const auto low = Bytes<4>::load(block + kLow);
  for (unsigned i = 0; i < kSubgroups; ++i) {
    const unsigned bits = (low.at[i / 2] >> (i % 2 * 4) & 0xFU) | (high.at[i / 4] >> (i % 4 * 2) & 3U) << 4U;
    to.subscales[i] = static_cast<std::int8_t>(static_cast<int>(bits) - 32);
  }
  for (int i = 0; i < kSubgroups; ++i) {
    split_nibbles<kBytes>(block + kCodes + kBytes * i, to.codes + 2 * kBytes * i);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  Bytes<2> high = {};
  Bytes<4> low = {};
  for (unsigned i = 0; i < kSubgroups; ++i) {
    const auto bits = static_cast<unsigned>(from.subscales[i] + 32) & 0x3F;
    low.at[i / 2] = byte_of(low.at[i / 2] | (bits & 0xF) << (i % 2 * 4));
    high.at[i / 4] = byte_of(high.at[i / 4] | bits >> 4U << (i % 4 * 2));
  }
  high.store(block + kHigh);
  low.store(block + kLow);
  for (int i = 0; i < kSubgroups; ++i) {
    join_nibbles<kBytes>(from.codes + 2 * kBytes * i, block + kCodes + kBytes * i);
  }
}

}  // namespace

const BlockLayout kIq4XsLayout = {split, join};

}  // namespace llamajit::jit
