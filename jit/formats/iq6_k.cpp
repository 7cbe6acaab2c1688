// f16 scale; u16 with a bit for each of sixteen subgroups, lifted where it is set; sixteen s8 subscales; 128 bytes of the codes'
// nibbles, of which 32 bytes hold 64: the low ones the first 32; 64 bytes of their upper pairs, of which 32 bytes hold 128: pair p of
// byte i is that of code 32 p + i. What codes stand for are a cubic polynomial's values, and those are rounded to integers here as
// products with them are in ik_llama.cpp.
#include "jit/formats/lifted_blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kWeights = 256;
constexpr std::size_t kFactors = 4, kNibbles = 20, kPairs = 148;

void split(const std::byte* block, Group& to) {
  split_head(block, to);
  std::memcpy(to.subscales, block + kFactors, kNibbles - kFactors);
  std::uint8_t upper[kWeights];
  split_all_pairs(block + kPairs, upper);
  split_all_nibbles<32>(block + kNibbles, to.codes);
  for (int i = 0; i < kWeights; ++i) to.codes[i] = byte_of(to.codes[i] | upper[i] << 4U);
}

void join(const Group& from, std::byte* block) {
  join_head(from, block);
  std::memcpy(block + kFactors, from.subscales, kNibbles - kFactors);
  std::uint8_t upper[kWeights];
  for (int i = 0; i < kWeights; ++i) upper[i] = byte_of(from.codes[i] >> 4U);
  join_all_pairs(upper, block + kPairs);
  join_all_nibbles<32>(from.codes, block + kNibbles);
}

}  // namespace

const Codebook kIq6KCodebook = {1,   7,   13,  19,  24,  30,  35,  40,  44,  49,  54,  58,  62,
                                66,  70,  74,  77,  81,  84,  88,  91,  94,  97,  100, 103, 106,
                                109, 112, 115, 117, 120, 123, 126, 128, 131, 134, 137, 140, 142,
                                145, 148, 151, 155, 158, 161, 164, 168, 172, 175, 179, 183, 187,
                                191, 196, 200, 205, 210, 215, 220, 226, 231, 237, 243, 249};

const BlockLayout kIq6KLayout = {split, join};

}  // namespace llamajit::jit
