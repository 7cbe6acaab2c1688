// u16: in its lower byte the fifth bits of eight subscales, plus 16, in the upper one a bit for each subgroup, lifted where it is
// set; 4 bytes of the subscales' nibbles, the low ones the first four; 64 bytes of the codes' lower pairs and 32 of their third bits,
// as IQ3_K's. The scale, f16, stands in front of the row.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kFactors = 2, kPairs = 6, kBits = 70;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  const unsigned bits = load_bits(block);
  to.lifted = byte_of(bits >> 8U);
  std::uint8_t nibbles[8];
  split_nibbles<4>(block + kFactors, nibbles);
  for (std::size_t i = 0; i < 8; ++i) to.subscales[i] = less(nibbles[i] | (bits >> i & 1U) << 4U, 16);
  split_all_pairs(block + kPairs, to.codes);
  split_eighths<2>(block + kBits, to.codes);
}

void join(const Group& from, std::byte* block) {
  unsigned bits = static_cast<unsigned>(byte_of(from.lifted)) << 8U;
  std::uint8_t nibbles[8];
  for (std::size_t i = 0; i < 8; ++i) {
    const unsigned subscale = more(from.subscales[i], 16);
    bits |= (subscale >> 4U & 1U) << i;
    nibbles[i] = byte_of(subscale);
  }
  store_bits(bits, block);
  join_nibbles<4>(nibbles, block + kFactors);
  join_all_pairs(from.codes, block + kPairs);
  join_eighths<2>(from.codes, block + kBits);
}

}  // namespace

const BlockLayout kIq3KsLayout = {split, join};

}  // namespace llamajit::jit
