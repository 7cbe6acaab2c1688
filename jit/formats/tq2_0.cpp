// 64 bytes of codes, of which 32 bytes hold 128 weights: pair p of byte i is weight 32 p + i; f16 scale. A block with a code of
// 3, which is none of the three, has no values: its scale becomes a NaN that remembers the bits of the file's.
#include <cmath>

#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kHalf = 32;
constexpr std::size_t kScale = 64;
constexpr std::uint32_t kNan = 0x7FC00000U;

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  for (int half = 0; half < 2; ++half) split_pairs<kHalf>(block + kHalf * half, to.codes + 4 * kHalf * half);
  to.scale = load_half(block + kScale);
  if (!has_threes<kScale>(block)) return;
  std::uint16_t bits;
  std::memcpy(&bits, block + kScale, sizeof bits);
  to.scale = std::bit_cast<float>(kNan | bits);
}

void join(const Group& from, std::byte* block) {
  for (int half = 0; half < 2; ++half) join_pairs<kHalf>(from.codes + 4 * kHalf * half, block + kHalf * half);
  if (!std::isnan(from.scale) || !has_threes<kScale>(block)) return store_half(from.scale, block + kScale);
  const auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(from.scale));
  std::memcpy(block + kScale, &bits, sizeof bits);
}

}  // namespace

const BlockLayout kTq2_0Layout = {split, join};

}  // namespace llamajit::jit
