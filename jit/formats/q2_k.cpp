// 16 bytes, the subscale of 16 weights in the low nibble and their submin in the high one; 64 bytes of codes,
// of which 32 bytes hold 128 weights: pair p of byte i is weight 32 p + i; f16 scale; f16 of minus the min.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kSubgroups = 16, kHalf = 32;
constexpr std::size_t kCodes = 16, kScale = 80, kMin = 82;

void split(const std::byte* block, Group& to) {
  to.scale = load_half(block + kScale);
  to.min = -load_half(block + kMin);
  const auto factors = Bytes<kSubgroups>::load(block);
  for (int i = 0; i < kSubgroups; ++i) {
    to.subscales[i] = static_cast<std::int8_t>(factors.at[i] & 0xF);
    to.submins[i] = byte_of(factors.at[i] >> 4U);
  }
  for (int half = 0; half < 2; ++half) {
    split_pairs<kHalf>(block + kCodes + kHalf * half, to.codes + 4 * kHalf * half);
  }
}

void join(const Group& from, std::byte* block) {
  Bytes<kSubgroups> factors;
  for (int i = 0; i < kSubgroups; ++i) {
    factors.at[i] = byte_of((byte_of(from.subscales[i]) & 0xFU) | (from.submins[i] & 0xFU) << 4U);
  }
  factors.store(block);
  for (int half = 0; half < 2; ++half) {
    join_pairs<kHalf>(from.codes + 4 * kHalf * half, block + kCodes + kHalf * half);
  }
  store_half(from.scale, block + kScale);
  store_half(-from.min, block + kMin);
}

}  // namespace

const BlockLayout kQ2KLayout = {split, join};

}  // namespace llamajit::jit
