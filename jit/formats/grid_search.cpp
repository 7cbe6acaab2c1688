#include "jit/formats/grid_search.h"

#include <bit>

#include <emmintrin.h>

namespace llamajit::jit {
namespace {

constexpr float kNever = 1e30F;  // a cost that no weights have; they and their importance are near 1

Four all(float x) {
  return Four{x, x, x, x};
}
Four least_of(Four a, Four b) {
  return a < b ? a : b;
}
// The least of each of four vectors.
Four least_of_each(const Four (&of)[4]) {
  const Four ab = least_of(_mm_unpacklo_ps(of[0], of[1]), _mm_unpackhi_ps(of[0], of[1]));
  const Four cd = least_of(_mm_unpacklo_ps(of[2], of[3]), _mm_unpackhi_ps(of[2], of[3]));
  return least_of(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

// A bit for each value that costs less than `limit`.
template <int Values>
unsigned values_below(const Four (&costs)[GridCell<Values>::kVectors], float limit) {
  unsigned bits = 0;
  for (int v = 0; v < GridCell<Values>::kVectors; ++v) {
    bits |= static_cast<unsigned>(_mm_movemask_ps(costs[v] < all(limit))) << 4 * v;
  }
  return bits & ((1U << Values) - 1);
}
// The last value, where there are no numbers.
template <int Values>
unsigned cheapest_value(const Four (&costs)[GridCell<Values>::kVectors], float cost) {
  unsigned bits = 1U << (Values - 1);
  for (int v = 0; v < GridCell<Values>::kVectors; ++v) {
    bits |= static_cast<unsigned>(_mm_movemask_ps(costs[v] == all(cost))) << 4 * v;
  }
  return static_cast<unsigned>(std::countr_zero(bits));
}

}  // namespace

template <int Values>
GridIndex<Values>::GridIndex(std::span<const Entry> entries) {
  for (const Entry entry : entries) {
    const auto code = [entry](unsigned i) { return static_cast<unsigned>(entry >> 8 * i & 0xFFU); };
    const auto part = [code](unsigned i) {
      return Values == 9 ? code(2 * i) + 3 * code(2 * i + 1) : code(i);
    };
    const unsigned upper = part(3) * kRow + part(2);
    second_[upper] = static_cast<std::uint16_t>(second_[upper] | 1U << part(1));
    std::uint16_t& first = first_[upper][part(1)];
    first = static_cast<std::uint16_t>(first | 1U << part(0));
  }
}

template <int Values>
void GridIndex<Values>::improve(const GridCell<Values>& cell, float scale, GridChoice& choice) const {
  using Cell = GridCell<Values>;
  const Four square = all(scale * scale), twice = all(2 * scale);
  Four costs[4][Cell::kVectors], least[4];
  for (int p = 0; p < 4; ++p) {
    for (int v = 0; v < Cell::kVectors; ++v) {
      costs[p][v] = cell.squares[p][v] * square - cell.products[p][v] * twice;
    }
    if constexpr (Values % 4 != 0) costs[p][Values / 4] += Four{0, kNever, kNever, kNever};
    least[p] = costs[p][0];
    for (int v = 1; v < Cell::kVectors; ++v) least[p] = least_of(least[p], costs[p][v]);
  }
  const Four minima = least_of_each(least);
  const float least_lower = minima[0] + minima[1];
  float bound = choice.cost;
  if (!(minima[2] + minima[3] + least_lower < bound)) return;
  // All entries with two upper parts that cost so much.
  const auto try_upper = [&](unsigned third, unsigned fourth, float cost) {
    const unsigned upper = fourth * kRow + third;
    unsigned seconds = values_below<Values>(costs[1], bound - cost - minima[0]) & second_[upper];
    for (; seconds != 0; seconds &= seconds - 1) {
      const auto second = static_cast<unsigned>(std::countr_zero(seconds));
      const float of_three = cost + Cell::at(costs[1], second);
      unsigned firsts = values_below<Values>(costs[0], bound - of_three) & first_[upper][second];
      for (; firsts != 0; firsts &= firsts - 1) {
        const auto first = static_cast<unsigned>(std::countr_zero(firsts));
        const float of_all = of_three + Cell::at(costs[0], first);
        if (!(of_all < bound)) continue;
        bound = of_all;
        choice = {static_cast<std::uint16_t>(upper << 8U | second << 4U | first), of_all};
      }
    }
  };
  // The cheapest upper parts lead to a good bound, which few others come below.
  try_upper(cheapest_value<Values>(costs[2], minima[2]), cheapest_value<Values>(costs[3], minima[3]),
            minima[2] + minima[3]);
  unsigned fourths = values_below<Values>(costs[3], bound - least_lower - minima[2]);
  for (; fourths != 0; fourths &= fourths - 1) {
    const auto fourth = static_cast<unsigned>(std::countr_zero(fourths));
    const float of_fourth = Cell::at(costs[3], fourth);
    unsigned thirds = values_below<Values>(costs[2], bound - least_lower - of_fourth);
    for (; thirds != 0; thirds &= thirds - 1) {
      const auto third = static_cast<unsigned>(std::countr_zero(thirds));
      const float cost = of_fourth + Cell::at(costs[2], third);
      if (cost + least_lower < bound) try_upper(third, fourth, cost);
    }
  }
}

template class GridIndex<8>;
template class GridIndex<9>;

}  // namespace llamajit::jit
