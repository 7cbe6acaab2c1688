// f16 scale, of which a weight has an eighth; for each 32 weights four bytes, which are places in the grid for eight
// weights each, and 32 bits: seven signs of each eight weights, and the upper four (b) of the subscale 2 b + 1.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr int kSubgroups = 8;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq2Unit;
  const std::byte* at = block + 2;
  std::uint8_t* codes = to.codes;
  for (int s = 0; s < kSubgroups; ++s, at += 8) {
    const auto bits = read_at<std::uint32_t>(at + 4);
    to.subscales[s] = odd(bits >> 28U);
    for (unsigned i = 0; i < 4; ++i, codes += 8) {
      store_codes<2>(kIq2XxsGrid[std::to_integer<std::size_t>(at[i])], eight_signs(bits >> 7 * i & 0x7F),
                     codes);
    }
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq2Unit, block);
  std::byte* at = block + 2;
  const std::uint8_t* eight = from.codes;
  for (int s = 0; s < kSubgroups; ++s, at += 8) {
    unsigned bits = half_of(from.subscales[s]) << 28U;
    for (unsigned i = 0; i < 4; ++i, eight += 8) {
      const auto codes = EightCodes<2>::load(eight);
      at[i] = static_cast<std::byte>(place_of(codes.entry, kIq2XxsGrid));
      bits |= codes.seven_signs() << 7 * i;
    }
    write_at(at + 4, bits);
  }
}

}  // namespace

// 8, 25 and 43, and the same negative, plus 64. No block has the codes 3 and 7.
const Codebook kIq2Codebook = {72, 89, 107, 64, 56, 39, 21, 64};

const BlockLayout kIq2XxsLayout = {split, join};

}  // namespace llamajit::jit
