// f16 scale; u16 with a bit for each of sixteen subgroups, lifted where it is set; 12 bytes of subscales; 128 bytes of the codes'
// nibbles, of which 32 bytes hold 64: the low ones the first 32; 32 bytes of their fifth bits: bit b of byte i is that of code
// 32 b + i.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kFactors = 4, kNibbles = 16, kBits = 144;

void split(const std::byte* block, Group& to) {
  split_head(block, to);
  split_six_bits(block + kFactors, to.subscales);
  split_all_nibbles<32>(block + kNibbles, to.codes);
  split_eighths<4>(block + kBits, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_head(from, block);
  join_six_bits(from.subscales, block + kFactors);
  join_all_nibbles<32>(from.codes, block + kNibbles);
  join_eighths<4>(from.codes, block + kBits);
}

}  // namespace

// -126, -114, -103, -92, -83, -74, -65, -57, -50, -43, -36, -30, -24, -18, -12, -6, -1, 5, 11, 17, 23, 29, 36, 43, 51, 59, 68, 77,
// 87, 97, 109, 121
const Codebook kIq5KCodebook = {2,   14,  25,  36,  45,  54,  63,  71,  78,  85,  92,
                                98,  104, 110, 116, 122, 127, 133, 139, 145, 151, 157,
                                164, 171, 179, 187, 196, 205, 215, 225, 237, 249};

const BlockLayout kIq5KLayout = {split, join};

}  // namespace llamajit::jit
