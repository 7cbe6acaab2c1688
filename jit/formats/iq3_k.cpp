// f16 scale; u16 with a bit for each of sixteen subgroups, lifted where it is set; u16 of their subscales' signs; 8 bytes of
// nibbles b, of which a subscale has the magnitude 2 b + 1; 64 bytes of the codes' lower pairs, as IQ2_K's; 32 bytes of their
// third bits: bit b of byte i is that of code 32 b + i.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kSigns = 4, kFactors = 6, kPairs = 14, kBits = 78;

void split(const std::byte* block, Group& to) {
  split_head(block, to);
  const unsigned signs = load_bits(block + kSigns);
  for (std::size_t i = 0; i < 16; ++i) {
    const auto magnitude = static_cast<int>(2 * piece<4>(block + kFactors, i) + 1);
    to.subscales[i] = static_cast<std::int8_t>((signs >> i & 1U) != 0 ? -magnitude : magnitude);
  }
  split_all_pairs(block + kPairs, to.codes);
  split_eighths<2>(block + kBits, to.codes);
}

void join(const Group& from, std::byte* block) {
  join_head(from, block);
  std::memset(block + kFactors, 0, kPairs - kFactors);
  unsigned signs = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const int subscale = from.subscales[i];
    signs |= (subscale < 0 ? 1U : 0U) << i;
    add_piece<4>(static_cast<unsigned>(subscale < 0 ? -subscale : subscale) >> 1U, i, block + kFactors);
  }
  store_bits(signs, block + kSigns);
  join_all_pairs(from.codes, block + kPairs);
  join_eighths<2>(from.codes, block + kBits);
}

}  // namespace

// -63, -40, -23, -10, 1, 13, 28, 47
const Codebook kIq3KCodebook = {1, 24, 41, 54, 65, 77, 92, 111};

const BlockLayout kIq3KLayout = {split, join};

}  // namespace llamajit::jit
