// 64 bytes of codes, of which 32 bytes hold 128 weights: pair p of byte i is weight 32 p + i; f16 scale.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kHalf = 32;
constexpr std::size_t kScale = 64;

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  for (int half = 0; half < 2; ++half) split_pairs<kHalf>(block + kHalf * half, to.codes + 4 * kHalf * half);
  to.scale = load_half(block + kScale);
}

void join(const Group& from, std::byte* block) {
  for (int half = 0; half < 2; ++half) join_pairs<kHalf>(from.codes + 4 * kHalf * half, block + kHalf * half);
  store_half(from.scale, block + kScale);
}

}  // namespace

const BlockLayout kTq2_0Layout = {split, join};

}  // namespace llamajit::jit
