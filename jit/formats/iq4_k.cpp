// f16 scale; u16 with a bit for each of sixteen subgroups, lifted where it is set; 12 bytes of subscales; 128 bytes of codes, of
// which 16 bytes hold 32: the low nibbles the first 16. The codes are IQ4_NL's.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kFactors = 4, kCodes = 16;

void split(const std::byte* block, Group& to) {
  split_head(block, to);
  split_six_bits(block + kFactors, to.subscales);
  split_all_nibbles<16>(block + kCodes, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_head(from, block);
  join_six_bits(from.subscales, block + kFactors);
  join_all_nibbles<16>(from.codes, block + kCodes);
}

}  // namespace

const BlockLayout kIq4KLayout = {split, join};

}  // namespace llamajit::jit
