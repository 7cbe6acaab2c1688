// f16 scale; the lower 8 bits of the places of four weights each in the grid, 64 bytes; 8 bytes, which are the upper bits
// of eight places each; 32 bytes of signs; 4 bytes of the subscales of 32 weights each, of which the nibbles b stand for
// 2 b + 1, low ones first.
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kEights = 32, kEntries = 2, kUpper = 66, kSigns = 74, kFactors = 106;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq3SUnit;
  split_odd_nibbles<4>(block + kFactors, to.subscales);
  const auto entry = [&](std::size_t i) {
    const auto upper = std::to_integer<std::size_t>(block[kUpper + i / 8]) >> i % 8 & 1U;
    return std::uint64_t{kIq3SGrid[std::to_integer<std::size_t>(block[kEntries + i]) | upper << 8U]};
  };
  for (std::size_t i = 0; i < kEights; ++i) {
    store_codes<3>(entry(2 * i) | entry(2 * i + 1) << 32U, block[kSigns + i], to.codes + 8 * i);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq3SUnit, block);
  join_odd_nibbles<4>(from.subscales, block + kFactors);
  for (std::size_t i = 0; i < kEights; i += 4) {
    unsigned upper = 0;
    for (unsigned k = 0; k < 8; k += 2) {
      const auto codes = EightCodes<3>::load(from.codes + 8 * i + 4 * k);
      const auto [first, second] = places_of_halves(codes.entry, kIq3SGrid);
      block[kEntries + 2 * i + k] = static_cast<std::byte>(first);
      block[kEntries + 2 * i + k + 1] = static_cast<std::byte>(second);
      block[kSigns + i + k / 2] = codes.signs;
      upper |= first >> 8U << k | second >> 8U << (k + 1);
    }
    block[kUpper + i / 4] = static_cast<std::byte>(upper);
  }
}

}  // namespace

// 1, 3, …, 15, and the same negative, plus 16.
const Codebook kIq3SCodebook = {17, 19, 21, 23, 25, 27, 29, 31, 15, 13, 11, 9, 7, 5, 3, 1};

const BlockLayout kIq3SLayout = {split, join};

}  // namespace llamajit::jit
