// f16 scale; 32 int8.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kWeights = 32;
constexpr std::size_t kCodes = 2;

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  const auto values = Bytes<kWeights>::load(block + kCodes);
  for (int i = 0; i < kWeights; ++i) to.codes[i] = values.at[i] ^ 0x80;  // + 128
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  Bytes<kWeights> values;
  for (int i = 0; i < kWeights; ++i) values.at[i] = from.codes[i] ^ 0x80;
  values.store(block + kCodes);
}

}  // namespace

const BlockLayout kQ8_0Layout = {split, join};

}  // namespace llamajit::jit
