// For each of eight subgroups of 32 weights eight u16, of which the lowest bits are the byte that IQ4_KS has for it. With 0 in its
// place, and each bit changed where the one above is set, a u16 has two bytes of codes, as IQ4_KS's; so the four of them have an even number
// of bits that are set. The scale, f32, stands in front of the row.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr unsigned kSubgroups = 8, kWords = 8;
constexpr int kBytes = 16;  // of a subgroup

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  std::byte factors[kSubgroups] = {}, codes[kBytes];
  for (unsigned s = 0; s < kSubgroups; ++s, block += kBytes) {
    for (unsigned i = 0; i < kWords; ++i) {
      const unsigned word = load_bits(block + std::size_t{2} * i), bits = word & 0xFFFEU;
      factors[s] |= static_cast<std::byte>((word & 1U) << i);
      store_bits(bits ^ bits >> 1U, codes + std::size_t{2} * i);
    }
    split_nibbles<kBytes>(codes, to.codes + std::size_t{2 * kBytes} * s);
  }
  split_odd_bytes(factors, to);
}

void join(const Group& from, std::byte* block) {
  std::byte factors[kSubgroups], codes[kBytes];
  join_odd_bytes(from, factors);
  for (unsigned s = 0; s < kSubgroups; ++s, block += kBytes) {
    join_nibbles<kBytes>(from.codes + std::size_t{2 * kBytes} * s, codes);
    for (unsigned i = 0; i < kWords; ++i) {
      unsigned bits = load_bits(codes + std::size_t{2} * i);
      for (const unsigned shift : {1U, 2U, 4U, 8U}) bits ^= bits >> shift;
      store_bits((bits & 0xFFFEU) | (std::to_integer<unsigned>(factors[s]) >> i & 1U),
                 block + std::size_t{2} * i);
    }
  }
}

}  // namespace

const BlockLayout kIq4KssLayout = {split, join};

}  // namespace llamajit::jit
