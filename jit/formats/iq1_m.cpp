// The lower 8 bits of the places of eight weights each in the grid, 32 bytes; 16 bytes of nibbles, low ones first: the
// upper three bits of a place, and whether its weights' -1, 0 and 1 are moved down by an eighth, not up; four times 16
// bits: three b for each of the subscales 2 b + 1 of four times 16 weights, and a nibble of the f16 scale, the lowest
// first. Of the scale a weight has an eighth.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kEights = 32, kUpper = 32, kFactors = 48;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  unsigned scale = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned bits = read_at<std::uint16_t>(block + kFactors + 2 * i);
    scale |= bits >> 12U << 4 * i;
    for (unsigned s = 0; s < 4; ++s) to.subscales[4 * i + s] = odd(bits >> 3 * s & 7U);
  }
  to.scale = half_to_float(static_cast<std::uint16_t>(scale)) * kIq1Unit;
  for (std::size_t i = 0; i < kEights; ++i) {
    const auto upper = std::to_integer<std::size_t>(block[kUpper + i / 2]) >> i % 2 * 4;
    const auto signs = static_cast<std::byte>((upper & 8U) != 0 ? 0xFF : 0);
    store_codes<2>(kIq1Grid[std::to_integer<std::size_t>(block[i]) | (upper & 7U) << 8U], signs,
                   to.codes + 8 * i);
  }
}

void join(const Group& from, std::byte* block) {
  const unsigned scale = float_to_half(from.scale / kIq1Unit);
  for (unsigned i = 0; i < 4; ++i) {
    unsigned bits = (scale >> 4 * i & 0xFU) << 12U;
    for (unsigned s = 0; s < 4; ++s) bits |= (half_of(from.subscales[4 * i + s]) & 7U) << 3 * s;
    write_at(block + kFactors + 2 * i, static_cast<std::uint16_t>(bits));
  }
  for (std::size_t i = 0; i < kEights; i += 2) {
    unsigned upper = 0;
    for (unsigned k = 0; k < 2; ++k) {
      const auto codes = EightCodes<2>::load(from.codes + 8 * (i + k));
      const unsigned place = place_of(codes.entry, kIq1Grid);
      block[i + k] = static_cast<std::byte>(place);
      upper |= (place >> 8U | (std::to_integer<unsigned>(codes.signs) & 8U)) << 4 * k;
    }
    block[kUpper + i / 2] = static_cast<std::byte>(upper);
  }
}

}  // namespace

const BlockLayout kIq1MLayout = {split, join};

}  // namespace llamajit::jit
