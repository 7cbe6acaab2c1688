// Q4_K's and Q5_K's 12 bytes of eight subscales and eight submins, six bits each.
#pragma once

#include "jit/formats/blocks.h"

namespace llamajit::jit {

// The first four subscales and submins: the low six bits of bytes 0-3 and
// 4-7. Of the other four, the low nibbles are the nibbles of bytes 8-11 (the
// submin's the high one) and the upper two bits those of bytes 0-3 and 4-7.
inline void split_k_factors(const std::byte* from, Group& to) {
  const auto bytes = Bytes<12>::load(from);
  for (int i = 0; i < 4; ++i) {
    const unsigned a = bytes.at[i], b = bytes.at[4 + i], c = bytes.at[8 + i];
    to.subscales[i] = static_cast<std::int8_t>(a & 0x3F);
    to.submins[i] = byte_of(b & 0x3F);
    to.subscales[4 + i] = static_cast<std::int8_t>((c & 0xF) | a >> 6U << 4U);
    to.submins[4 + i] = byte_of(c >> 4U | b >> 6U << 4U);
  }
}
inline void join_k_factors(const Group& from, std::byte* to) {
  Bytes<12> bytes;
  for (int i = 0; i < 4; ++i) {
    const unsigned scale = byte_of(from.subscales[4 + i]), min = from.submins[4 + i];
    bytes.at[i] = byte_of((byte_of(from.subscales[i]) & 0x3FU) | scale >> 4U << 6U);
    bytes.at[4 + i] = byte_of((from.submins[i] & 0x3FU) | min >> 4U << 6U);
    bytes.at[8 + i] = byte_of((scale & 0xF) | (min & 0xF) << 4U);
  }
  bytes.store(to);
}

}  // namespace llamajit::jit
