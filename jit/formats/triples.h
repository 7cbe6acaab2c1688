// Ternary codes (0, 1 and 2) of a packed record: those of three steps of columns (packing.h) are one number of five
// bits, a triple. That is 1.67 bits a code, and shuffles of bytes take it apart, which look up four bits: the first code
// stands in the lower four bits alone.
//
//   pair = 3 second + third    lower four bits = 5 first + pair % 5    fifth bit = pair / 5
//
// Four triples, of twelve steps, lie in a block of two vectors and a half: first the lower bits, two triples to a vector's
// byte as in a Plane; then 32 bytes of fifth bits, of rows 0 to 7 in the lower four bits and of rows 8 to 15 in the
// upper ones, those of the first triple lowest.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "jit/base/lanes.h"

namespace llamajit::jit {

struct Triple {
  static constexpr int kSteps = 3, kBlock = 4;  // steps of a triple, and triples of a block
  static constexpr int kBlockSteps = kSteps * kBlock;
  static constexpr int kBlockBytes = 5 * kLanes * 4 / 2;
  static constexpr int kHalf = kLanes / 2;  // rows

  // The record's triple number `number`.
  explicit constexpr Triple(int number)
      : lower_at(number / kBlock * kBlockBytes + number % kBlock / 2 * kLanes * 4),
        lower_shift(number % 2 * 4),
        fifths_at(number / kBlock * kBlockBytes + 2 * kLanes * 4),
        fifth_bit(number % kBlock) {}

  int lower_at;  // bytes from the record's begin to the vector
  int lower_shift;
  int fifths_at;
  int fifth_bit;  // of rows 0 to 7
};

// What shuffles look up, rows of 16: by the lower bits the first code and pair % 5; by an index, which is that and 8 more where
// the fifth bit is set, the second code and the third. Five numbers of five bits are no triples.
inline constexpr int kTripleRows = 4, kTripleRow = 16;
inline constexpr int kFifthInIndex = 8;
using TripleTable = std::array<std::array<std::uint8_t, kTripleRow>, kTripleRows>;
inline constexpr TripleTable kTripleTable = [] {
  TripleTable table{};
  for (unsigned i = 0; i < kTripleRow; ++i) {
    const unsigned pair = i % kFifthInIndex + i / kFifthInIndex * 5;
    const unsigned entries[] = {std::min(i / 5, 2U), i % 5, std::min(pair / 3, 2U), pair % 3};
    for (std::size_t row = 0; row < kTripleRows; ++row)
      table[row][i] = static_cast<std::uint8_t>(entries[row]);
  }
  return table;
}();

}  // namespace llamajit::jit
