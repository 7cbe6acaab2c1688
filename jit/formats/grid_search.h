// The search for that entry of a grid which weights lose least by.
//
// For a scale s, weights x that count w and an entry's values v, the error is the sum of w (x - s v)^2: that of w x^2,
// which no entry changes, and a cost, s^2 times the sum of w v^2 less 2 s times that of w v x. It is a sum over the
// entry's four parts, so that a part's few values, alone and two by two, show which entries need not be looked at.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

namespace llamajit::jit {

// Four floats at once, which every x86-64 has.
using Four = float __attribute__((vector_size(16)));

// The weights of one entry. A part has one of `Values` values: of 9, which two codes of three have, the first code's
// in the lower digit, or of 8, which one code has.
template <int Values>
struct GridCell {
  static constexpr int kVectors = (Values + 3) / 4;

  // Of each part and value. What lies behind the last value is not read.
  Four products[4][kVectors];  // sums of w v x
  Four squares[4][kVectors];   // sums of w v^2

  static float at(const Four (&of)[kVectors], unsigned value) { return of[value / 4][value % 4]; }
};

struct GridChoice {
  std::uint16_t parts = 0;  // each in four bits, the first in the lowest; 0 is an entry of every grid
  float cost = 0;

  unsigned part(unsigned which) const { return parts >> 4 * which & 15U; }
};

template <int Values>
class GridIndex {
 public:
  using Entry = std::conditional_t<Values == 9, std::uint64_t, std::uint32_t>;
  // Of a grid as grids.h has it.
  explicit GridIndex(std::span<const Entry> entries);

  // The entry that costs least, if that is less than choice.cost. No number there, or in the cell: any entry.
  void improve(const GridCell<Values>& cell, float scale, GridChoice& choice) const;

 private:
  static constexpr int kRow = 16;

  // What can stand below the two upper parts: bits of the second part's values; and for each of those, of the first's.
  std::uint16_t second_[Values * kRow] = {};
  std::uint16_t first_[Values * kRow][Values] = {};
};

}  // namespace llamajit::jit
