// u16: in its lower byte a bit for each of eight subgroups, lifted where it is set, in the upper one the fifth bits of their
// subscales, plus 16; 4 bytes of these ones' nibbles; 64 bytes of codes, as IQ2_K's. The scale, f16, stands in front of the row.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kFactors = 2, kCodes = 6;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  const unsigned bits = load_bits(block);
  to.lifted = byte_of(bits);
  for (std::size_t i = 0; i < 8; ++i) {
    to.subscales[i] = less(piece<4>(block + kFactors, i) | (bits >> (8 + i) & 1U) << 4U, 16);
  }
  split_all_pairs(block + kCodes, to.codes);
}

void join(const Group& from, std::byte* block) {
  unsigned bits = byte_of(from.lifted);
  std::memset(block + kFactors, 0, kCodes - kFactors);
  for (std::size_t i = 0; i < 8; ++i) {
    const unsigned subscale = more(from.subscales[i], 16);
    bits |= (subscale >> 4U & 1U) << (8 + i);
    add_piece<4>(subscale, i, block + kFactors);
  }
  store_bits(bits, block);
  join_all_pairs(from.codes, block + kCodes);
}

}  // namespace

const BlockLayout kIq2KsLayout = {split, join};

}  // namespace llamajit::jit
