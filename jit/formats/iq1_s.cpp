// f16 scale, of which a weight has an eighth; the lower 8 bits of the places of eight weights each in the grid, 32 bytes;
// 16 bits for each 32 weights: the upper three of four places, the three b of the subscale 2 b + 1, and whether the
// weights' -1, 0 and 1 are moved down by an eighth. Otherwise they are moved up.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr int kSubgroups = 8;
constexpr std::size_t kEntries = 2, kBits = 34;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq1Unit;
  const std::byte* entries = block + kEntries;
  std::uint8_t* codes = to.codes;
  for (int s = 0; s < kSubgroups; ++s) {
    const unsigned bits = read_at<std::uint16_t>(block + kBits + 2 * s);
    to.subscales[s] = odd(bits >> 12U & 7U);
    const auto signs = static_cast<std::byte>(bits >> 15U != 0 ? 0xFF : 0);
    for (unsigned i = 0; i < 4; ++i, ++entries, codes += 8) {
      const std::size_t upper = bits >> 3 * i & 7U;
      store_codes<2>(kIq1Grid[std::to_integer<std::size_t>(*entries) | upper << 8U], signs, codes);
    }
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq1Unit, block);
  std::byte* entries = block + kEntries;
  const std::uint8_t* at = from.codes;
  for (int s = 0; s < kSubgroups; ++s) {
    unsigned bits = (half_of(from.subscales[s]) & 7U) << 12U;
    for (unsigned i = 0; i < 4; ++i, ++entries, at += 8) {
      const auto codes = EightCodes<2>::load(at);
      const unsigned place = place_of(codes.entry, kIq1Grid);
      *entries = static_cast<std::byte>(place);
      bits |= place >> 8U << 3 * i | (std::to_integer<unsigned>(codes.signs) & 0x80U) << 8U;
    }
    write_at(block + kBits + 2 * s, static_cast<std::uint16_t>(bits));
  }
}

}  // namespace

// Eight times -1, 0 and 1, plus 1; the same less 1; all plus 16. No block has the codes 3 and 7.
const Codebook kIq1Codebook = {9, 17, 25, 16, 7, 15, 23, 16};

const BlockLayout kIq1SLayout = {split, join};

}  // namespace llamajit::jit
