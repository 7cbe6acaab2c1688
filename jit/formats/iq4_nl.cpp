// f16 scale; 16 bytes of nibbles, code i and code 16 + i in a byte. The codes stand for sixteen values that
// lie closer together around zero.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  split_nibbles<kBytes>(block + 2, to.codes);
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  join_nibbles<kBytes>(from.codes, block + 2);
}

}  // namespace

const Codebook kIq4Codebook = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

const BlockLayout kIq4NlLayout = {split, join};

}  // namespace llamajit::jit
