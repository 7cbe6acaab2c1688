// The grids of ggml's formats of few bits: weights that stand side by side have one of so many groups of codes, and
// signs apart from it.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>

#include "jit/formats/blocks.h"

namespace llamajit::jit {

// An entry has a byte for each weight, the first in the lowest. Entries ascend.
extern const std::array<std::uint64_t, 256> kIq2XxsGrid;
extern const std::array<std::uint64_t, 512> kIq2XsGrid;
extern const std::array<std::uint64_t, 1024> kIq2SGrid;
extern const std::array<std::uint32_t, 256> kIq3XxsGrid;
extern const std::array<std::uint32_t, 512> kIq3SGrid;
extern const std::array<std::uint64_t, 2048> kIq1Grid;

// A weight's scale is the file's times this, where codes have the values of codebooks.
inline constexpr float kIq1Unit = 0.125F, kIq2Unit = 0.125F, kIq3XxsUnit = 0.5F, kIq3SUnit = 1;

// Where an entry stands, of those that the grid has.
template <typename Entry, std::size_t Size>
unsigned place_of(Entry entry, const std::array<Entry, Size>& grid) {
  const auto* const found = std::ranges::lower_bound(grid, entry);
  assert(found != grid.end() && *found == entry);
  return static_cast<unsigned>(found - grid.begin());
}

// Of two entries of four weights each, the first's in the lower half.
template <std::size_t Size>
std::array<unsigned, 2> places_of_halves(std::uint64_t both, const std::array<std::uint32_t, Size>& grid) {
  return {place_of(static_cast<std::uint32_t>(both), grid),
          place_of(static_cast<std::uint32_t>(both >> 32U), grid)};
}

// The odd integers that subscales are, of their bits in the file, and back.
inline std::int8_t odd(unsigned bits) {
  return static_cast<std::int8_t>(2 * bits + 1);
}
inline unsigned half_of(std::int8_t odd) {
  return static_cast<unsigned>(odd) >> 1U;
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

template <std::size_t N>
void join_odd_nibbles(const std::int8_t* from, std::byte* to) {
  Bytes<N> bytes;
  for (std::size_t i = 0; i < N; ++i) {
    bytes.at[i] = byte_of((half_of(from[2 * i]) & 0xFU) | (half_of(from[2 * i + 1]) & 0xFU) << 4U);
  }
  bytes.store(to);
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
template <unsigned Bit>
struct EightCodes {
  std::uint64_t entry;
  std::byte signs;

  static EightCodes load(const std::uint8_t* codes) {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    std::uint64_t both;
    std::memcpy(&both, codes, sizeof both);
    return {both & kOnes * ((1U << Bit) - 1), gather_bits(both >> Bit & kOnes)};
  }
  unsigned seven_signs() const { return std::to_integer<unsigned>(signs) & 0x7FU; }
};

}  // namespace llamajit::jit
