// 32 bytes of codes: pair p of byte i, the high ones first,
// is weight 32 p + i. The scale stands behind the tensor. A block with a code of 3, which is none of the three, has no
// values, so that its scale becomes a NaN.
#include <limits>

#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 32;

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  const auto bytes = Bytes<kBytes>::load(block);
  for (unsigned pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < kBytes; ++i)
      to.codes[kBytes * static_cast<int>(pair) + i] = bytes.at[i] >> (6 - 2 * pair) & 3;
  }
  if (has_threes<kBytes>(block)) to.scale = std::numeric_limits<float>::quiet_NaN();
}

void join(const Group& from, std::byte* block) {
  Bytes<kBytes> bytes;
  const std::uint8_t* const codes = from.codes;
  for (int i = 0; i < kBytes; ++i) {
    bytes.at[i] = byte_of((codes[i] & 3U) << 6U | (codes[kBytes + i] & 3U) << 4U |
                          (codes[2 * kBytes + i] & 3U) << 2U | (codes[3 * kBytes + i] & 3U));
  }
  bytes.store(block);
}

}  // namespace

const BlockLayout kI2SLayout = {split, join};

}  // namespace llamajit::jit
