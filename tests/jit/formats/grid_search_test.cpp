// The search for the entry of a grid that weights lose least by, beside one that looks at all of them.
#include "jit/formats/grid_search.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <string_view>

#include <gtest/gtest.h>

#include "jit/formats/grids.h"

namespace llamajit::test::grid_search_test {
namespace {

using jit::GridCell;
using jit::GridChoice;
using jit::GridIndex;

// Four parts with random weights whose importance differs much.
template <int Values>
GridCell<Values> random_cell(std::mt19937_64& random, float spread) {
  std::normal_distribution<float> normal;
  GridCell<Values> cell{};
  for (int part = 0; part < 4; ++part) {
    float x[2], w[2];
    for (int i = 0; i < 2; ++i) {
      x[i] = normal(random);
      w[i] = std::exp(spread * normal(random));
    }
    for (int value = 0; value < Values; ++value) {
      const int codes[2] = {Values == 9 ? value % 3 : value, value / 3};
      for (int i = 0; i < (Values == 9 ? 2 : 1); ++i) {
        const auto v = static_cast<float>(2 * codes[i] + 1);
        cell.products[part][value / 4][value % 4] += w[i] * v * x[i];
        cell.squares[part][value / 4][value % 4] += w[i] * v * v;
      }
    }
  }
  return cell;
}

template <int Values>
unsigned value_of(typename GridIndex<Values>::Entry entry, unsigned part) {
  const auto code = [entry](unsigned i) { return static_cast<unsigned>(entry >> 8 * i & 0xFF); };
  return Values == 9 ? code(2 * part) + 3 * code(2 * part + 1) : code(part);
}

template <int Values>
double cost_of(const GridCell<Values>& cell, double scale, const std::array<unsigned, 4>& values) {
  double cost = 0;
  for (unsigned part = 0; part < 4; ++part) {
    cost += scale * scale * GridCell<Values>::at(cell.squares[part], values[part]) -
            2 * scale * GridCell<Values>::at(cell.products[part], values[part]);
  }
  return cost;
}

template <int Values>
void expect_the_best(std::span<const typename GridIndex<Values>::Entry> grid) {
  const GridIndex<Values> index(grid);
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    const auto cell = random_cell<Values>(random, static_cast<float>(round % 3));
    const float scale = 0.05F * static_cast<float>(1 + round % 20);
    double least = std::numeric_limits<double>::max();
    for (const auto entry : grid) {
      std::array<unsigned, 4> values{};
      for (unsigned part = 0; part < 4; ++part) values[part] = value_of<Values>(entry, part);
      least = std::min(least, cost_of(cell, scale, values));
    }
    GridChoice choice{0, std::numeric_limits<float>::max()};
    index.improve(cell, scale, choice);
    const std::array<unsigned, 4> values = {choice.part(0), choice.part(1), choice.part(2), choice.part(3)};
    const bool is_there = std::ranges::any_of(grid, [&](auto entry) {
      for (unsigned part = 0; part < 4; ++part) {
        if (value_of<Values>(entry, part) != values[part]) return false;
      }
      return true;
    });
    ASSERT_TRUE(is_there) << round;
    const double tolerance = 1e-5 * (1 + std::abs(least));
    ASSERT_NEAR(cost_of(cell, scale, values), least, tolerance) << round;
    ASSERT_NEAR(choice.cost, least, tolerance) << round;
    // What is as good already stays.
    GridChoice kept{0xFFFF, choice.cost};
    index.improve(cell, scale, kept);
    ASSERT_EQ(kept.parts, 0xFFFF) << round;
  }
}

TEST(GridSearch, FindsTheBestEntry) {
  expect_the_best<9>(jit::kIq2XxsGrid);
  expect_the_best<9>(jit::kIq2XsGrid);
  expect_the_best<9>(jit::kIq2SGrid);
  expect_the_best<9>(jit::kIq1Grid);
  expect_the_best<8>(jit::kIq3XxsGrid);
  expect_the_best<8>(jit::kIq3SGrid);
}

TEST(GridSearch, NoNumbersLeadToSomeEntry) {
  const GridIndex<9> nines(jit::kIq2XsGrid);
  const GridIndex<8> eights(jit::kIq3SGrid);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    GridChoice choice{0, std::numeric_limits<float>::max()};
    GridCell<9> nine{};
    nine.products[2][1][3] = nine.products[3][2][0] = bad;
    nines.improve(nine, 1, choice);
    nines.improve(nine, bad, choice);
    EXPECT_LT(choice.part(3), 9U);
    GridCell<8> eight{};
    eight.squares[0][0][0] = eight.squares[3][1][3] = bad;
    choice = {0, std::numeric_limits<float>::max()};
    eights.improve(eight, 1, choice);
    eights.improve(eight, bad, choice);
    EXPECT_LT(choice.part(3), 8U);
  }
}

}  // namespace
}  // namespace llamajit::test::grid_search_test
