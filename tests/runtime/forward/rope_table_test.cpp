#include "runtime/forward/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::rope_table_test {
namespace {

constexpr int kHead = 64;

// The angle and the length that the table gives a pair at a position.
struct Rotation {
  double angle;
  double length;
};
Rotation rotation_of(const RopeTable& table, int pos, int pair) {
  const float* const cosine = table.data() + std::ptrdiff_t{2} * pos * kHead;
  const float* const sine = cosine + kHead;
  EXPECT_EQ(cosine[2 * pair], cosine[2 * pair + 1]);
  EXPECT_EQ(sine[2 * pair], -sine[2 * pair + 1]);
  const double c = cosine[2 * pair];
  const double s = sine[2 * pair + 1];
  return {std::atan2(s, c), std::hypot(c, s)};
}

// Returns the angle by which each pair turns from one position to the next.
std::vector<double> turns_of(const RopeConfig& config, double length) {
  const RopeTable table(4, kHead, config);
  std::vector<double> turns;
  for (int pair = 0; pair < kHead / 2; ++pair) {
    const Rotation one = rotation_of(table, 1, pair);
    EXPECT_NEAR(one.length, length, 1e-6);
    EXPECT_NEAR(rotation_of(table, 0, pair).angle, 0, 1e-9);
    EXPECT_NEAR(std::remainder(rotation_of(table, 3, pair).angle - 3 * one.angle, 2 * std::numbers::pi), 0,
                1e-5);
    turns.push_back(one.angle);
  }
  return turns;
}

TEST(RopeTable, TurnsAsThePaperSays) {
  const auto turns = turns_of({}, 1);
  for (int pair = 0; pair < kHead / 2; ++pair)
    EXPECT_NEAR(turns[static_cast<std::size_t>(pair)], std::pow(10000.0, -2.0 * pair / kHead), 1e-7);
}

TEST(RopeTable, LinearScalingDividesPositions) {
  const auto plain = turns_of({.theta = 5e5F}, 1);
  const auto scaled = turns_of({.theta = 5e5F, .scaling = RopeConfig::Scaling::linear, .factor = 4}, 1);
  for (int pair = 0; pair < kHead / 2; ++pair)
    EXPECT_NEAR(scaled[static_cast<std::size_t>(pair)], plain[static_cast<std::size_t>(pair)] / 4, 1e-7);
}

TEST(RopeTable, DivisorsDivideEachFrequency) {
  RopeConfig config;
  const auto plain = turns_of(config, 1);
  for (int pair = 0; pair < kHead / 2; ++pair) config.divisors.push_back(static_cast<float>(1 + pair % 8));
  const auto divided = turns_of(config, 1);
  for (int pair = 0; pair < kHead / 2; ++pair)
    EXPECT_NEAR(divided[static_cast<std::size_t>(pair)],
                plain[static_cast<std::size_t>(pair)] / (1 + pair % 8), 1e-7);
}

// Fast rotations keep their angles, slow ones are divided, and between lies a ramp; all grow longer.
TEST(RopeTable, YarnScalesSlowRotations) {
  const RopeConfig config{.scaling = RopeConfig::Scaling::yarn, .factor = 8, .original_context = 2048};
  const auto plain = turns_of({}, 1);
  const auto yarn = turns_of(config, 1 + 0.1 * std::log(8.0));
  // 32 turns in 2048 tokens: pair log(2048 / (32 * 2 pi)) / log(10000) * 32 = 8.06; one turn: 20.1.
  for (int pair = 0; pair <= 8; ++pair)
    EXPECT_NEAR(yarn[static_cast<std::size_t>(pair)], plain[static_cast<std::size_t>(pair)], 1e-6);
  for (int pair = 21; pair < kHead / 2; ++pair)
    EXPECT_NEAR(yarn[static_cast<std::size_t>(pair)], plain[static_cast<std::size_t>(pair)] / 8, 1e-7);
  for (int pair = 9; pair < 21; ++pair) {
    const double kept = 1 - (pair - 8) / 13.0;
    EXPECT_NEAR(yarn[static_cast<std::size_t>(pair)],
                plain[static_cast<std::size_t>(pair)] * (kept + (1 - kept) / 8), 1e-7)
        << pair;
  }
}

TEST(RopeTable, PairsBeyondTheRotatedOnesStayAsTheyAre) {
  const RopeTable table(3, kHead, {.dims = 16});
  for (int pair = 0; pair < kHead / 2; ++pair) {
    const Rotation rotation = rotation_of(table, 2, pair);
    EXPECT_NEAR(rotation.angle, pair < 8 ? 2 * std::pow(10000.0, -pair / 8.0) : 0, 1e-6);
    EXPECT_NEAR(rotation.length, 1, 1e-6);
  }
}

// Which divisors count is the run's context's to say, not the position's.
TEST(RopeTable, LongContextsHaveDivisorsOfTheirOwn) {
  const RopeConfig config{.original_context = 8,
                          .divisors = std::vector(kHead / 2, 2.0F),
                          .long_divisors = std::vector(kHead / 2, 5.0F)};
  EXPECT_NEAR(rotation_of(RopeTable(8, kHead, config), 1, 0).angle, 1 / 2.0, 1e-6);
  EXPECT_NEAR(rotation_of(RopeTable(9, kHead, config), 1, 0).angle, 1 / 5.0, 1e-6);
}

// Queries alone grow, also what is not rotated.
TEST(RopeTable, QueriesGrowWithThePosition) {
  const RopeConfig config{.dims = 16, .original_context = 8, .query_growth = 0.4F};
  const RopeTable keys(32, kHead, config), queries(32, kHead, config, true);
  for (const int pos : {0, 6, 7, 14, 15, 31}) {
    const double growth = 1 + 0.4 * std::log(1.0 + (pos + 1) / 8);  // NOLINT: whole contexts
    for (const int pair : {0, 7, 8, kHead / 2 - 1}) {
      EXPECT_NEAR(rotation_of(keys, pos, pair).length, 1, 1e-6);
      EXPECT_NEAR(rotation_of(queries, pos, pair).length, growth, 1e-6) << pos;
      EXPECT_NEAR(rotation_of(queries, pos, pair).angle, rotation_of(keys, pos, pair).angle, 1e-6);
    }
  }
}

TEST(RopeTable, YarnNeedNotMagnify) {
  turns_of({.scaling = RopeConfig::Scaling::yarn, .factor = 8, .original_context = 2048, .magnifies = false},
           1);
}

TEST(RopeTable, GrowsAsTheTextDoes) {
  constexpr int kPositions = RopeTable::kAtOnce + 500;
  RopeTable at_once(kPositions, kHead, {});
  at_once.reach(kPositions);
  RopeTable step_by_step(kPositions + 1000, kHead, {});
  for (int pos = 1; pos <= kPositions; ++pos) step_by_step.reach(pos);
  const std::size_t floats = std::size_t{2} * kPositions * kHead;
  EXPECT_TRUE(std::equal(at_once.data(), at_once.data() + floats, step_by_step.data()));
  EXPECT_NE(at_once.data()[floats - 1], 0.0F);
}

}  // namespace
}  // namespace llamajit::rope_table_test
