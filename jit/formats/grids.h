// The grids of ggml's formats of few bits: weights that stand side by side have one of so many groups of codes, and
// signs apart from it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "jit/formats/blocks.h"

namespace llamajit::jit {

// An entry has a byte for each weight, the first in the lowest.
extern const std::array<std::uint64_t, 256> kIq2XxsGrid;
extern const std::array<std::uint64_t, 512> kIq2XsGrid;
extern const std::array<std::uint64_t, 1024> kIq2SGrid;
extern const std::array<std::uint32_t, 256> kIq3XxsGrid;
extern const std::array<std::uint32_t, 512> kIq3SGrid;
extern const std::array<std::uint64_t, 2048> kIq1Grid;

// The odd integers that subscales are, of their bits in the file.
inline std::int8_t odd(unsigned bits) {
  return static_cast<std::int8_t>(2 * bits + 1);
}

// Subscales in nibbles of N bytes, low ones first.
template <std::size_t N>
void split_odd_nibbles(const std::byte* from, std::int8_t* to) {
  const auto bytes = Bytes<N>::load(from);
  for (std::size_t i = 0; i < N; ++i) {
    to[2 * i] = odd(bytes.at[i] & 0xFU);
    to[2 * i + 1] = odd(bytes.at[i] >> 4U);
  }
}

// Signs of eight weights, of which the file has seven: negative ones are even in number.
inline std::byte eight_signs(unsigned seven) {
  const unsigned folded = seven ^ seven >> 4U;
  constexpr unsigned kOddNibbles = 0x6996;
  return static_cast<std::byte>(seven | (kOddNibbles >> (folded & 0xF) & 1U) << 7U);
}

// Eight codes: those of the grid, and the signs as their bit `Bit`.
template <unsigned Bit>
void store_codes(std::uint64_t entry, std::byte signs, std::uint8_t* codes) {
  entry |= spread_bits(signs) << Bit;
  std::memcpy(codes, &entry, sizeof entry);
}

}  // namespace llamajit::jit
