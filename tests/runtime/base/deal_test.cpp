#include "runtime/base/deal.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/base/team.h"

namespace llamajit::deal_test {
namespace {

using Taken = std::vector<int>;  // how often each unit was

// Takes portions until none is left.
void take_all(Deal& deal, int thread, std::int64_t round, std::int64_t portion, Taken& taken) {
  for (Deal::Range r = deal.next(thread, round); !r.empty(); r = deal.next(thread, round)) {
    EXPECT_LE(r.end - r.begin, portion);
    for (std::int64_t unit = r.begin; unit < r.end; ++unit) ++taken.at(static_cast<std::size_t>(unit));
  }
}

TEST(Deal, GivesEachUnitOnceInEachRound) {
  constexpr int kThreads = 4;
  for (const std::int64_t units : {0, 1, 3, 4, 31, 256}) {
    for (const std::int64_t portion : {1, 3, 1000}) {
      Deal deal(units, portion, kThreads);
      Team team(kThreads);
      for (std::int64_t round = 0; round < 50; ++round) {
        std::vector<Taken> taken(kThreads, Taken(static_cast<std::size_t>(units)));
        auto job = [&](int thread) {
          take_all(deal, thread, round, portion, taken[static_cast<std::size_t>(thread)]);
        };
        team.run(job);
        for (std::size_t unit = 0; unit < static_cast<std::size_t>(units); ++unit) {
          int times = 0;
          for (const Taken& t : taken) times += t[unit];
          ASSERT_EQ(times, 1) << "unit " << unit << " of " << units << ", portion " << portion << ", round "
                              << round;
        }
      }
    }
  }
}

TEST(Deal, AThreadBeginsWithItsOwnShare) {
  Deal deal(100, 10, 2);
  EXPECT_EQ(deal.next(1, 0).begin, 50);
  EXPECT_EQ(deal.next(0, 0).begin, 0);
  EXPECT_EQ(deal.next(1, 0).begin, 60);
}

TEST(Deal, WhoIsThroughTakesTheOthersShares) {
  Deal deal(100, 10, 3);
  Taken taken(100);
  take_all(deal, 2, 0, 10, taken);
  EXPECT_EQ(taken, Taken(100, 1));
  EXPECT_TRUE(deal.next(0, 0).empty());
  EXPECT_TRUE(deal.next(1, 0).empty());
  EXPECT_FALSE(deal.next(0, 1).empty()) << "the next round begins anew";
}

}  // namespace
}  // namespace llamajit::deal_test
