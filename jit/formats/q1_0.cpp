// f16 scale; 16 bytes of signs, bit b of byte i being weight 8 i + b, set where it is positive.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;
constexpr std::size_t kSigns = 2;

// Codes are 0 and 2, so that both signs are one step from the zero.
void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  for (int i = 0; i < kBytes; ++i) {
    const std::uint64_t codes = spread_bits(block[kSigns + static_cast<std::size_t>(i)]) << 1U;
    std::memcpy(to.codes + 8 * i, &codes, sizeof codes);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  for (int i = 0; i < kBytes; ++i) {
    std::uint64_t codes;
    std::memcpy(&codes, from.codes + 8 * i, sizeof codes);
    block[kSigns + static_cast<std::size_t>(i)] = gather_bits(codes >> 1U & 0x0101010101010101);
  }
}

}  // namespace

const BlockLayout kQ1_0Layout = {split, join};

}  // namespace llamajit::jit
