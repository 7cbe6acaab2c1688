// What formats whose codes are entries of grids have of their own, for the search of entries.
#pragma once

#include <cstdint>

#include "jit/formats/format.h"
#include "jit/formats/grid_search.h"

namespace llamajit::jit {

// What the bit above a code is.
enum class UpperBit : std::uint8_t {
  sign,
  even_signs,         // of eight weights an even number is negative
  shift_of_subgroup,  // the codes' values are moved to one side or the other, those of a subgroup alike
  shift_of_entry,     // or those of an entry
};

struct GridRules {
  UpperBit upper_bit;
  float unit;     // the group's scale over the block's
  float typical;  // RMS of a normal weight over its subgroup's scale, about
};

// Of a format with FormatTraits::entry.
GridRules rules_of(FormatKind kind);
// Its grid, made ready once: GridIndex<8> where a code has 8 values, GridIndex<9> where two of 3 go together.
template <int Values>
const GridIndex<Values>& index_of(FormatKind kind);
template <>
const GridIndex<8>& index_of<8>(FormatKind kind);
template <>
const GridIndex<9>& index_of<9>(FormatKind kind);

}  // namespace llamajit::jit
