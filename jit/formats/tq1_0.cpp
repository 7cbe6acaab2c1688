// 52 bytes of ternary digits, five in a byte; f16 scale. A byte is its digits' fraction, rounded up: 256/243
// of their number, the first weight being the highest digit; times 3^n it has digit n in front, and times 3
// that one is carried out. 32 bytes hold the weights 0-159, digit n of byte i being weight 32 n + i; 16 bytes
// 160-239 in the same way; and 4 bytes, of four digits, 240-255.
#include "jit/formats/blocks.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kScale = 52;

// 3^digit times the byte's fraction: what is carried out belongs to the digits before.
template <int N, int Digits>
void split_digits(const std::byte* from, std::uint8_t* codes) {
  auto bytes = Bytes<N>::load(from);
  for (int digit = 0; digit < Digits; ++digit) {
    for (int i = 0; i < N; ++i) {
      codes[N * digit + i] = byte_of(bytes.at[i] * 3U >> 8U);
      bytes.at[i] = byte_of(bytes.at[i] * 3U);
    }
  }
}

template <int N, int Digits>
void join_digits(const std::uint8_t* codes, std::byte* to) {
  Bytes<N> bytes;
  for (int i = 0; i < N; ++i) {
    unsigned number = 0;
    for (int digit = 0; digit < 5; ++digit) number = 3 * number + (digit < Digits ? codes[N * digit + i] : 0);
    bytes.at[i] = byte_of((number * 256 + 242) / 243);
  }
  bytes.store(to);
}

void split(const std::byte* block, Group& to) {
  set_neutral(to);
  split_digits<32, 5>(block, to.codes);
  split_digits<16, 5>(block + 32, to.codes + 160);
  split_digits<4, 4>(block + 48, to.codes + 240);
  to.scale = load_half(block + kScale);
}

void join(const Group& from, std::byte* block) {
  join_digits<32, 5>(from.codes, block);
  join_digits<16, 5>(from.codes + 160, block + 32);
  join_digits<4, 4>(from.codes + 240, block + 48);
  store_half(from.scale, block + kScale);
}

}  // namespace

const BlockLayout kTq1_0Layout = {split, join};

}  // namespace llamajit::jit
