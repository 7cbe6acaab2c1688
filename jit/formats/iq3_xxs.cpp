// f16 scale, half of which makes the codebook's numbers weights; 64 bytes, which are places in the grid for four weights
// each; for each 32 weights 32 bits: seven signs of each eight weights, and the upper four (b) of the subscale 2 b + 1.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr int kSubgroups = 8;
constexpr std::size_t kEntries = 2, kBits = 66;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq3XxsUnit;
  const std::byte* entries = block + kEntries;
  std::uint8_t* codes = to.codes;
  for (int s = 0; s < kSubgroups; ++s) {
    const auto bits = read_at<std::uint32_t>(block + kBits + 4 * s);
    to.subscales[s] = odd(bits >> 28U);
    for (unsigned i = 0; i < 4; ++i, entries += 2, codes += 8) {
      const std::uint64_t first = kIq3XxsGrid[std::to_integer<std::size_t>(entries[0])];
      const std::uint64_t second = kIq3XxsGrid[std::to_integer<std::size_t>(entries[1])];
      store_codes<3>(first | second << 32U, eight_signs(bits >> 7 * i & 0x7F), codes);
    }
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq3XxsUnit, block);
  std::byte* entries = block + kEntries;
  const std::uint8_t* at = from.codes;
  for (int s = 0; s < kSubgroups; ++s) {
    unsigned bits = half_of(from.subscales[s]) << 28U;
    for (unsigned i = 0; i < 4; ++i, entries += 2, at += 8) {
      const auto codes = EightCodes<3>::load(at);
      const auto [first, second] = places_of_halves(codes.entry, kIq3XxsGrid);
      entries[0] = static_cast<std::byte>(first);
      entries[1] = static_cast<std::byte>(second);
      bits |= codes.seven_signs() << 7 * i;
    }
    write_at(block + kBits + 4 * s, bits);
  }
}

}  // namespace

// Half of 4, 12, …, 52 and 62, and the same negative, plus 32.
const Codebook kIq3XxsCodebook = {34, 38, 42, 46, 50, 54, 58, 63, 30, 26, 22, 18, 14, 10, 6, 1};

const BlockLayout kIq3XxsLayout = {split, join};

}  // namespace llamajit::jit
