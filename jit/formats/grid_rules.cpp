#include "jit/formats/grid_rules.h"

#include "jit/formats/grids.h"

namespace llamajit::jit {

GridRules rules_of(FormatKind kind) {
  switch (kind) {
    case FormatKind::iq1_s:
      return {UpperBit::shift_of_subgroup, kIq1Unit, 6.5F};
    case FormatKind::iq1_m:
      return {UpperBit::shift_of_entry, kIq1Unit, 6.5F};
    case FormatKind::iq2_s:
      return {UpperBit::sign, kIq2Unit, 22};
    case FormatKind::iq3_xxs:
      return {UpperBit::even_signs, kIq3XxsUnit, 12};
    case FormatKind::iq3_s:
      return {UpperBit::sign, kIq3SUnit, 6};
    default:  // iq2_xxs, iq2_xs
      return {UpperBit::even_signs, kIq2Unit, 22};
  }
}

template <>
const GridIndex<8>& index_of<8>(FormatKind kind) {
  static const GridIndex<8> kIq3Xxs(kIq3XxsGrid), kIq3S(kIq3SGrid);
  return kind == FormatKind::iq3_xxs ? kIq3Xxs : kIq3S;
}

template <>
const GridIndex<9>& index_of<9>(FormatKind kind) {
  static const GridIndex<9> kIq2Xxs(kIq2XxsGrid), kIq2Xs(kIq2XsGrid), kIq2S(kIq2SGrid), kIq1(kIq1Grid);
  switch (kind) {
    case FormatKind::iq2_xxs:
      return kIq2Xxs;
    case FormatKind::iq2_xs:
      return kIq2Xs;
    case FormatKind::iq2_s:
      return kIq2S;
    default:  // iq1_s, iq1_m
      return kIq1;
  }
}

}  // namespace llamajit::jit
