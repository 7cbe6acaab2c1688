// What the blocks of ik_llama.cpp's IQ2_K to IQ6_K and of their kin with a scale for each row share: bits that lift
// subgroups, subscales in pieces, codes of nibbles and of pairs.
#pragma once

#include "jit/formats/blocks.h"

namespace llamajit::jit {

inline std::uint16_t load_bits(const std::byte* from) {
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}
inline void store_bits(unsigned bits, std::byte* to) {
  const auto stored = static_cast<std::uint16_t>(bits);
  std::memcpy(to, &stored, sizeof stored);
}

// What IQ2_K's to IQ6_K's blocks begin with: the f16 scale, and a bit for each subgroup.
inline void split_head(const std::byte* block, Group& to) {
  set_no_mins(to);
  to.scale = load_half(block);
  to.lifted = load_bits(block + 2);
}
inline void join_head(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  store_bits(from.lifted, block + 2);
}

// An integer of some bits of which `zero` stands for 0, and back.
inline std::int8_t less(unsigned bits, int zero) {
  return static_cast<std::int8_t>(static_cast<int>(bits) - zero);
}
inline unsigned more(std::int8_t number, int zero) {
  return static_cast<unsigned>(number + zero);
}

// Piece `i` of so many bits of a row of bytes, the low ones first.
template <unsigned Bits>
unsigned piece(const std::byte* from, std::size_t i) {
  constexpr std::size_t kEach = 8 / Bits;
  return std::to_integer<unsigned>(from[i / kEach]) >> i % kEach * Bits & ((1U << Bits) - 1);
}
// Into bytes that are zeros.
template <unsigned Bits>
void add_piece(unsigned bits, std::size_t i, std::byte* to) {
  constexpr std::size_t kEach = 8 / Bits;
  to[i / kEach] |= static_cast<std::byte>((bits & ((1U << Bits) - 1)) << i % kEach * Bits);
}

// IQ4_K's and IQ5_K's sixteen subscales of six bits, plus 32: pairs of their upper bits in 4 bytes, and nibbles in 8.
inline void split_six_bits(const std::byte* from, std::int8_t* to) {
  for (std::size_t i = 0; i < 16; ++i) to[i] = less(piece<4>(from + 4, i) | piece<2>(from, i) << 4U, 32);
}
inline void join_six_bits(const std::int8_t* from, std::byte* to) {
  std::memset(to, 0, 12);
  for (std::size_t i = 0; i < 16; ++i) {
    const unsigned bits = more(from[i], 32);
    add_piece<2>(bits >> 4U, i, to);
    add_piece<4>(bits, i, to + 4);
  }
}

// IQ4_KS's and IQ5_KS's eight subscales, which are odd: a byte is one plus 127, and in its lowest bit whether the subgroup
// is lifted.
inline void split_odd_bytes(const std::byte* from, Group& to) {
  to.lifted = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const auto byte = std::to_integer<unsigned>(from[i]);
    to.subscales[i] = less(byte & 0xFEU, 127);
    to.lifted = static_cast<std::uint16_t>(to.lifted | (byte & 1U) << i);
  }
}
inline void join_odd_bytes(const Group& from, std::byte* to) {
  for (unsigned i = 0; i < 8; ++i) {
    to[i] = static_cast<std::byte>((more(from.subscales[i], 127) & 0xFEU) | (from.lifted >> i & 1U));
  }
}

// 256 codes, of which 2 N stand in N bytes.
template <int N>
void split_all_nibbles(const std::byte* from, std::uint8_t* codes) {
  for (int i = 0; i < 128; i += N) split_nibbles<N>(from + i, codes + 2 * i);
}
template <int N>
void join_all_nibbles(const std::uint8_t* codes, std::byte* to) {
  for (int i = 0; i < 128; i += N) join_nibbles<N>(codes + 2 * i, to + i);
}

// 256 codes, of which 128 stand in 32 bytes.
inline void split_all_pairs(const std::byte* from, std::uint8_t* codes) {
  split_pairs<32>(from, codes);
  split_pairs<32>(from + 32, codes + 128);
}
inline void join_all_pairs(const std::uint8_t* codes, std::byte* to) {
  join_pairs<32>(codes, to);
  join_pairs<32>(codes + 128, to + 32);
}

}  // namespace llamajit::jit
