// f16 scale, of which a weight has an eighth; 16 bits for each eight weights, the lower nine their place in the grid,
// the others seven signs; 8 bytes of the subscales of 16 weights each, of which the nibbles b stand for 2 b + 1, low ones
// first.
#include "jit/base/unaligned.h"
#include "jit/formats/grids.h"

namespace llamajit::jit {
namespace {

constexpr int kEights = 32;
constexpr std::size_t kEntries = 2, kFactors = 66;

void split(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block) * kIq2Unit;
  split_odd_nibbles<8>(block + kFactors, to.subscales);
  for (int i = 0; i < kEights; ++i) {
    const unsigned bits = read_at<std::uint16_t>(block + kEntries + 2 * i);
    store_codes<2>(kIq2XsGrid[bits & 0x1FF], eight_signs(bits >> 9U), to.codes + 8 * i);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale / kIq2Unit, block);
  join_odd_nibbles<8>(from.subscales, block + kFactors);
  for (int i = 0; i < kEights; ++i) {
    const auto codes = EightCodes<2>::load(from.codes + 8 * i);
    const unsigned bits = place_of(codes.entry, kIq2XsGrid) | codes.seven_signs() << 9U;
    write_at(block + kEntries + 2 * i, static_cast<std::uint16_t>(bits));
  }
}

}  // namespace

const BlockLayout kIq2XsLayout = {split, join};

}  // namespace llamajit::jit
