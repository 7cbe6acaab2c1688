// The lower 8 bits of the places of eight weights each in the grid, 32 bytes; 16 bytes of nibbles, low ones first: the
// upper three bits of a place, and whether its weights' -1, 0 and 1 are moved down by an eighth, not up; four times 16
// bits: three b for each of the subscales 2 b + 1 of four times 16 weights, and a nibble of the f16 scale, the lowest
// first. Of the scale a weight has an eighth.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kEights = 32, kUpper = 32, kFactors = 48;
constexpr float kUnit = 0.125F;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  unsigned scale = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned bits = read_at<std::uint16_t>(block + kFactors + 2 * i);
    scale |= bits >> 12U << 4 * i;
    for (unsigned s = 0; s < 4; ++s) to.subscales[4 * i + s] = odd(bits >> 3 * s & 7U);
  }
  to.scale = half_to_float(static_cast<std::uint16_t>(scale)) * kUnit;
  for (std::size_t i = 0; i < kEights; ++i) {
    const auto upper = std::to_integer<std::size_t>(block[kUpper + i / 2]) >> i % 2 * 4;
    const auto signs = static_cast<std::byte>((upper & 8U) != 0 ? 0xFF : 0);
    store_codes<2>(kIq1Grid[std::to_integer<std::size_t>(block[i]) | (upper & 7U) << 8U], signs,
                   to.codes + 8 * i);
  }
}

void join(const Group& from, std::byte* block) {
  const unsigned scale = float_to_half(from.scale / kUnit);
  for (unsigned i = 0; i < 4; ++i) {
    std::byte* const at = block + kFactors + 2 * i;
    const unsigned kept = read_at<std::uint16_t>(at) & 0xFFFU;
    write_at(at, static_cast<std::uint16_t>(kept | (scale >> 4 * i & 0xFU) << 12U));
  }
}

}  // namespace

const BlockLayout kIq1MLayout = {split, join};

}  // namespace llamajit::jit
