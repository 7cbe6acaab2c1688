// Q5_0: f16 scale; u32 of the codes' fifth bits; 16 bytes of their nibbles, code i and code 16 + i in a byte.
// Q5_1: f16 scale; f16 min; fifth bits; nibbles.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16, kHighBytes = 4;

void split_codes(const std::byte* high, Group& to) {
  split_nibbles<kBytes>(high + kHighBytes, to.codes);
  for (int i = 0; i < kHighBytes; ++i) {
    std::uint64_t codes;
    std::memcpy(&codes, to.codes + 8 * i, sizeof codes);
    codes |= spread_bits(high[i]) << 4U;
    std::memcpy(to.codes + 8 * i, &codes, sizeof codes);
  }
}
void join_codes(const Group& from, std::byte* high) {
  for (int i = 0; i < kHighBytes; ++i) {
    std::uint64_t codes;
    std::memcpy(&codes, from.codes + 8 * i, sizeof codes);
    high[i] = gather_bits(codes >> 4U & 0x0101010101010101);
  }
  join_nibbles<kBytes>(from.codes, high + kHighBytes);
}

void split_q5_0(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  split_codes(block + 2, to);
}
void join_q5_0(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  join_codes(from, block + 2);
}

void split_q5_1(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  to.min = load_half(block + 2);
  split_codes(block + 4, to);
}
void join_q5_1(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  store_half(from.min, block + 2);
  join_codes(from, block + 4);
}

}  // namespace

const BlockLayout kQ5_0Layout = {split_q5_0, join_q5_0};
const BlockLayout kQ5_1Layout = {split_q5_1, join_q5_1};

}  // namespace llamajit::jit
