// ggml's blocks, one file a format: what stands where in a block's bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "jit/base/scalar_math.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

// A format's half of split_block() and join_block(). Parts of a Group that the format hasn't are neutral
// after a split: subscales and submins 1, or the min 0.
struct BlockLayout {
  SplitBlock split;
  void (*join)(const Group& from, std::byte* block);
};
extern const BlockLayout kQ8_0Layout, kQ4_0Layout, kQ4_1Layout, kQ5_0Layout, kQ5_1Layout;
extern const BlockLayout kQ2KLayout, kQ3KLayout, kQ4KLayout, kQ5KLayout, kQ6KLayout;
extern const BlockLayout kIq4NlLayout, kIq4XsLayout;
extern const BlockLayout kTq1_0Layout, kTq2_0Layout, kQ1_0Layout, kQ2_0Layout, kMxfp4Layout, kI2SLayout;
extern const BlockLayout kIq2XxsLayout, kIq2XsLayout, kIq2SLayout, kIq3XxsLayout, kIq3SLayout, kIq1SLayout,
    kIq1MLayout;
extern const BlockLayout kNvfp4Layout;
extern const BlockLayout kIq2KLayout, kIq3KLayout, kIq4KLayout, kIq5KLayout, kIq6KLayout;
extern const BlockLayout kIq2KsLayout, kIq3KsLayout, kIq4KsLayout, kIq4KssLayout, kIq5KsLayout;
extern const BlockLayout kQ4_0F32Layout, kQ4_1F32Layout;

// N bytes apart from the block, which the compiler then knows not to overlap with the codes.
template <std::size_t N>
struct Bytes {
  std::uint8_t at[N];

  static Bytes load(const std::byte* from) {
    Bytes bytes;
    std::memcpy(bytes.at, from, N);
    return bytes;
  }
  void store(std::byte* to) const { std::memcpy(to, at, N); }
};

inline std::uint8_t byte_of(unsigned bits) {
  return static_cast<std::uint8_t>(bits);
}

inline float load_half(const std::byte* from) {
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return half_to_float(bits);
}
inline void store_half(float x, std::byte* to) {
  const std::uint16_t bits = float_to_half(x);
  std::memcpy(to, &bits, sizeof bits);
}

// The low nibbles are the first half of the 2 N codes, the high ones the second.
template <int N>
void split_nibbles(const std::byte* from, std::uint8_t* codes) {
  const auto bytes = Bytes<N>::load(from);
  for (int i = 0; i < N; ++i) codes[i] = bytes.at[i] & 0xF;
  for (int i = 0; i < N; ++i) codes[N + i] = byte_of(bytes.at[i] >> 4U);
}
template <int N>
void join_nibbles(const std::uint8_t* codes, std::byte* to) {
  Bytes<N> bytes;
  for (int i = 0; i < N; ++i) bytes.at[i] = byte_of((codes[i] & 0xFU) | (codes[N + i] & 0xFU) << 4U);
  bytes.store(to);
}

// The four pairs of bits of a byte, low ones first, belong to codes N apart.
template <int N>
void split_pairs(const std::byte* from, std::uint8_t* codes) {
  const auto bytes = Bytes<N>::load(from);
  for (unsigned pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < N; ++i) codes[static_cast<int>(pair) * N + i] = bytes.at[i] >> (2 * pair) & 3;
  }
}
template <int N>
void join_pairs(const std::uint8_t* codes, std::byte* to) {
  Bytes<N> bytes;
  for (int i = 0; i < N; ++i) {
    bytes.at[i] = byte_of((codes[i] & 3U) | (codes[N + i] & 3U) << 2U | (codes[2 * N + i] & 3U) << 4U |
                          (codes[3 * N + i] & 3U) << 6U);
  }
  bytes.store(to);
}

// Whether any of those pairs is 3, which is none of a ternary format's codes.
template <std::size_t N>
bool has_threes(const std::byte* from) {
  const auto bytes = Bytes<N>::load(from);
  unsigned threes = 0;
  for (const unsigned byte : bytes.at) threes |= byte & byte >> 1U;
  return (threes & 0x55U) != 0;
}

// Bit b of byte i is the bit `Shift` of code 32 b + i, of
// 256. Shifts by one are what bytes can do side by side.
template <unsigned Shift>
void split_eighths(const std::byte* from, std::uint8_t* codes) {
  auto bytes = Bytes<32>::load(from);
  for (int bit = 0; bit < 8; ++bit, codes += 32) {
    for (int i = 0; i < 32; ++i) codes[i] = byte_of(codes[i] | (bytes.at[i] & 1U) << Shift);
    for (std::uint8_t& byte : bytes.at) byte = byte_of(byte >> 1U);
  }
}
template <unsigned Shift>
void join_eighths(const std::uint8_t* codes, std::byte* to) {
  Bytes<32> bytes = {};
  for (int bit = 7; bit >= 0; --bit) {
    for (int i = 0; i < 32; ++i)
      bytes.at[i] = byte_of(bytes.at[i] << 1U | (codes[32 * bit + i] >> Shift & 1U));
  }
  bytes.store(to);
}

// Bit i of a byte as byte i, 0 or 1, and back.
inline std::uint64_t spread_bits(std::byte bits) {
  const std::uint64_t masked = static_cast<std::uint64_t>(bits) * 0x0101010101010101 & 0x8040201008040201;
  return (masked + 0x7F7F7F7F7F7F7F7F) >> 7U & 0x0101010101010101;
}
inline std::byte gather_bits(std::uint64_t bytes) {
  return static_cast<std::byte>(bytes * 0x0102040810204080 >> 56U);
}

// For formats without subscales; the min is set by those that have one.
inline void set_neutral(Group& group) {
  group.subscales[0] = 1;
  group.submins[0] = 1;
  group.min = 0;
}
// For formats of subscales without mins.
inline void set_no_mins(Group& group) {
  std::memset(group.submins, 0, sizeof group.submins);
  group.min = 0;
}

}  // namespace llamajit::jit
