// f16 scale, of which a weight has an eighth; the lower 8 bits of the places of eight weights each in the grid, 32 bytes;
// 32 bytes of signs; 8 bytes, which are the upper two bits of four places each; 8 bytes of the subscales of 16 weights
// each, of which the nibbles b stand for 2 b + 1, low ones first.
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kEights = 32, kEntries = 2, kSigns = 34, kUpper = 66, kFactors = 74;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq2Unit;
  split_odd_nibbles<8>(block + kFactors, to.subscales);
  for (std::size_t i = 0; i < kEights; ++i) {
    const auto upper = std::to_integer<std::size_t>(block[kUpper + i / 4]) >> i % 4 * 2 & 3U;
    const auto lower = std::to_integer<std::size_t>(block[kEntries + i]);
    store_codes<2>(kIq2SGrid[lower | upper << 8U], block[kSigns + i], to.codes + 8 * i);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq2Unit, block);
  join_odd_nibbles<8>(from.subscales, block + kFactors);
  for (std::size_t i = 0; i < kEights; i += 4) {
    unsigned upper = 0;
    for (unsigned k = 0; k < 4; ++k) {
      const auto codes = EightCodes<2>::load(from.codes + 8 * (i + k));
      const unsigned place = place_of(codes.entry, kIq2SGrid);
      block[kEntries + i + k] = static_cast<std::byte>(place);
      block[kSigns + i + k] = codes.signs;
      upper |= place >> 8U << 2 * k;
    }
    block[kUpper + i / 4] = static_cast<std::byte>(upper);
  }
}

}  // namespace

const BlockLayout kIq2SLayout = {split, join};

}  // namespace llamajit::jit
