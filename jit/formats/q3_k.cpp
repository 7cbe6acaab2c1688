// 32 bytes of the codes' third bits, bit b of byte i being weight 32 b + i; 64 bytes of their lower two, of
// which 32 bytes hold 128 weights: pair p of byte i is weight 32 p + i; 12 bytes of 16 subscales of six bits,
// plus 32; f16 scale.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kRun = 32, kSubgroups = 16;
constexpr std::size_t kLow = 32, kFactors = 96, kScale = 108;

// Low nibbles: the first eight subscales in the low nibbles of eight bytes, the others in the high ones. The
// upper two bits of subscale i: pair i / 4 of byte 8 + i % 4.
void split_factors(const std::byte* from, std::int8_t* to) {
  const auto bytes = Bytes<12>::load(from);
  for (unsigned i = 0; i < kSubgroups; ++i) {
    const unsigned low = bytes.at[i % 8] >> (i / 8 * 4) & 0xF;
    const unsigned high = bytes.at[8 + i % 4] >> (i / 4 * 2) & 3;
    to[i] = static_cast<std::int8_t>(static_cast<int>(low | high << 4U) - 32);
  }
}
void join_factors(const std::int8_t* from, std::byte* to) {
  Bytes<12> bytes = {};
  for (unsigned i = 0; i < kSubgroups; ++i) {
    const auto bits = static_cast<unsigned>(from[i] + 32) & 0x3F;
    bytes.at[i % 8] = byte_of(bytes.at[i % 8] | (bits & 0xF) << (i / 8 * 4));
    bytes.at[8 + i % 4] = byte_of(bytes.at[8 + i % 4] | bits >> 4U << (i / 4 * 2));
  }
  bytes.store(to);
}

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block + kScale);
  split_factors(block + kFactors, to.subscales);
  for (int half = 0; half < 2; ++half)
    split_pairs<kRun>(block + kLow + kRun * half, to.codes + 4 * kRun * half);
  split_eighths<2>(block, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_eighths<2>(from.codes, block);
  for (int half = 0; half < 2; ++half)
    join_pairs<kRun>(from.codes + 4 * kRun * half, block + kLow + kRun * half);
  join_factors(from.subscales, block + kFactors);
  store_half(from.scale, block + kScale);
}

}  // namespace

const BlockLayout kQ3KLayout = {split, join};

}  // namespace llamajit::jit
