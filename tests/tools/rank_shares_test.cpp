#include "tools/common/rank_shares.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llamajit::rank_shares_test {
namespace {

using cli::shares_of_rates;
using ::testing::ElementsAre;

std::vector<int> shares(const std::vector<double>& rates) {
  return shares_of_rates(rates);
}

TEST(RankShares, FollowRates) {
  EXPECT_THAT(shares({10e9, 20e9, 40e9}), ElementsAre(25, 50, 100));
  EXPECT_THAT(shares({30e9, 10e9}), ElementsAre(100, 33));
}

TEST(RankShares, AreEvenWhereRatesHardlyDiffer) {
  EXPECT_THAT(shares({10e9, 10.9e9, 10.2e9}), ElementsAre(1, 1, 1));
  EXPECT_THAT(shares({10e9, 11.2e9}), ElementsAre(89, 100));
  EXPECT_THAT(shares({5e9}), ElementsAre(1));
}

TEST(RankShares, LeaveNobodyWithout) {
  EXPECT_THAT(shares({1, 40e9}), ElementsAre(1, 100));
  EXPECT_THAT(shares({-1, 40e9}), ElementsAre(1, 100));
  EXPECT_THAT(shares({0, 0}), ElementsAre(1, 1));
}

TEST(RankShares, AreMeasuredByReading) {
  const double rate = cli::measure_reading(2);
  EXPECT_GT(rate, 1e8);   // slower than any memory
  EXPECT_LT(rate, 1e13);  // faster than any cache
}

}  // namespace
}  // namespace llamajit::rank_shares_test
