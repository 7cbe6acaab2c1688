// 128 bytes of the codes' nibbles, of which 64 bytes hold 128 weights: the low nibbles the first 64; 64 bytes
// of their upper two bits, of which 32 bytes hold 128 weights: pair p of byte i is weight 32 p + i; 16 int8
// subscales; f16 scale.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kHalf = 128, kSubgroups = 16;
constexpr std::size_t kLow = 0, kHigh = 128, kFactors = 192, kScale = 208;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block + kScale);
  std::memcpy(to.subscales, block + kFactors, kSubgroups);
  for (int half = 0; half < 2; ++half) {
    std::uint8_t* const codes = to.codes + kHalf * half;
    std::uint8_t high[kHalf];
    split_nibbles<kHalf / 2>(block + kLow + kHalf / 2 * half, codes);
    split_pairs<kHalf / 4>(block + kHigh + kHalf / 4 * half, high);
    for (int i = 0; i < kHalf; ++i) codes[i] = byte_of(codes[i] | high[i] << 4U);
  }
}

void join(const Group& from, std::byte* block) {
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t* const codes = from.codes + kHalf * half;
    std::uint8_t high[kHalf];
    for (int i = 0; i < kHalf; ++i) high[i] = byte_of(codes[i] >> 4U);
    join_nibbles<kHalf / 2>(codes, block + kLow + kHalf / 2 * half);
    join_pairs<kHalf / 4>(high, block + kHigh + kHalf / 4 * half);
  }
  std::memcpy(block + kFactors, from.subscales, kSubgroups);
  store_half(from.scale, block + kScale);
}

}  // namespace

const BlockLayout kQ6KLayout = {split, join};

}  // namespace llamajit::jit
