// f16 scale; u16 with a bit for each of sixteen subgroups, lifted where it is set; 8 bytes of nibbles, which are the
// subscales plus 8; 64 bytes of codes, of which 32 bytes hold 128: pair p of byte i is code 32 p + i.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kFactors = 4, kCodes = 12;

void split(const std::byte* block, Group& to) {
  split_head(block, to);
  for (std::size_t i = 0; i < 16; ++i) to.subscales[i] = less(piece<4>(block + kFactors, i), 8);
  split_all_pairs(block + kCodes, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_head(from, block);
  std::memset(block + kFactors, 0, kCodes - kFactors);
  for (std::size_t i = 0; i < 16; ++i) add_piece<4>(more(from.subscales[i], 8), i, block + kFactors);
  join_all_pairs(from.codes, block + kCodes);
}

}  // namespace

// -31, -13, 1, 17
const Codebook kIq2KCodebook = {1, 19, 33, 49};

const BlockLayout kIq2KLayout = {split, join};

}  // namespace llamajit::jit
