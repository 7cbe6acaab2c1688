// f16 scale; 16 bytes of codes, pair p of byte i being weight 4 i + p.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr int kBytes = 16;
constexpr std::size_t kCodes = 2;

// A byte's four pairs, in four bytes, and back.
std::uint32_t spread_pairs(std::uint8_t pairs) {
  return (pairs | pairs << 6U | pairs << 12U | static_cast<std::uint32_t>(pairs) << 18U) & 0x03030303;
}
std::uint8_t gather_pairs(std::uint32_t codes) {
  codes &= 0x03030303;
  return byte_of(codes | codes >> 6U | codes >> 12U | codes >> 18U);
}

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  to.scale = load_half(block);
  const auto bytes = Bytes<kBytes>::load(block + kCodes);
  for (int i = 0; i < kBytes; ++i) {
    const std::uint32_t codes = spread_pairs(bytes.at[i]);
    std::memcpy(to.codes + 4 * i, &codes, sizeof codes);
  }
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  Bytes<kBytes> bytes;
  for (int i = 0; i < kBytes; ++i) {
    std::uint32_t codes;
    std::memcpy(&codes, from.codes + 4 * i, sizeof codes);
    bytes.at[i] = gather_pairs(codes);
  }
  bytes.store(block + kCodes);
}

}  // namespace

const BlockLayout kQ2_0Layout = {split, join};

}  // namespace llamajit::jit
