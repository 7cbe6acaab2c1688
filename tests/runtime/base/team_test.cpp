#include "runtime/base/team.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>

namespace llamajit::team_test {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Team, SharesCoverEverythingOnceAndEvenly) {
  for (std::int64_t n = 0; n < 70; ++n) {
    for (int threads = 1; threads <= 17; ++threads) {
      std::int64_t expected = 0;
      for (int t = 0; t < threads; ++t) {
        const auto [begin, end] = share_of(n, t, threads);
        EXPECT_EQ(begin, expected);
        EXPECT_GE(end - begin, n / threads);
        EXPECT_LE(end - begin, (n + threads - 1) / threads);
        expected = end;
      }
      EXPECT_EQ(expected, n);
    }
  }
}

// A team's caller is pinned; one that it makes meanwhile has all CPUs all the same.
TEST(Team, ASecondOneHasAllCpusToo) {
  const auto cpus_of = [](Team& team) {
    std::vector<cpu_set_t> sets(static_cast<std::size_t>(team.size()));
    auto job = [&](int thread) {
      (void)sched_getaffinity(0, sizeof(cpu_set_t), &sets[static_cast<std::size_t>(thread)]);
    };
    team.run(job);
    cpu_set_t all;
    CPU_ZERO(&all);
    for (const cpu_set_t& set : sets) CPU_OR(&all, &all, &set);
    return CPU_COUNT(&all);
  };
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one CPU is all that there is";
  Team first(2);
  Team second(2);
  EXPECT_EQ(cpus_of(first), 2);
  EXPECT_EQ(cpus_of(second), 2);
}

// Also of a thread that no caller sees; and the team goes on.
TEST(Team, WhatAJobThrowsComesOut) {
  Team team(3);
  for (const int thrower : {0, 2}) {
    std::atomic<int> done{0};
    auto job = [&](int thread) {
      if (thread == thrower) throw std::runtime_error("no memory");
      ++done;
    };
    try {
      team.run(job);
      ADD_FAILURE() << "expected an error";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "no memory");
    }
    EXPECT_EQ(done, 2);
  }
  std::atomic<int> done{0};
  auto job = [&](int) { ++done; };
  team.run(job);
  EXPECT_EQ(done, 3);
}

class TeamOf : public ::testing::TestWithParam<int> {};

TEST_P(TeamOf, RunsEveryJobOnceOnEveryThread) {
  Team team(GetParam());
  EXPECT_EQ(team.size(), GetParam());
  std::vector<int> calls(static_cast<std::size_t>(GetParam()));  // plain: run() orders them
  auto job = [&](int thread) { ++calls[static_cast<std::size_t>(thread)]; };
  constexpr int kRuns = 500;
  for (int i = 0; i < kRuns; ++i) team.run(job);
  for (const int count : calls) EXPECT_EQ(count, kRuns);
}

// Each thread writes its cell, and after the barrier reads all: were one let through too early, it would see
// an old value; were writes not visible, too. Also with more threads than CPUs, in bounded time.
TEST_P(TeamOf, NobodyPassesTheBarrierBeforeAll) {
  const int threads = GetParam();
  constexpr int kRounds = 400;
  Team team(threads);
  std::vector<int> cells(static_cast<std::size_t>(threads));
  std::atomic<int> wrong{0};
  auto job = [&](int thread) {
    for (int round = 1; round <= kRounds; ++round) {
      cells[static_cast<std::size_t>(thread)] = round;
      team.barrier(thread);
      for (const int cell : cells) wrong += cell != round;
      team.barrier(thread);
    }
  };
  const auto start = std::chrono::steady_clock::now();
  team.run(job);
  EXPECT_EQ(wrong, 0);
  EXPECT_LT(seconds_since(start), 20.0);
}

// A thread that comes late finds the others asleep.
TEST_P(TeamOf, SleepersAreWoken) {
  const int threads = GetParam();
  Team team(threads);
  std::atomic<int> sum{0};
  auto job = [&](int thread) {
    for (int late = 0; late < threads; ++late) {
      if (thread == late) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      team.barrier(thread);
      ++sum;
    }
  };
  team.run(job);
  EXPECT_EQ(sum, threads * threads);
}

TEST_P(TeamOf, ComesAndGoesManyTimes) {
  for (int i = 0; i < 30; ++i) {
    Team team(GetParam());
    std::atomic<int> calls{0};
    auto job = [&](int) { ++calls; };
    if (i % 2 == 0) team.run(job);
    EXPECT_EQ(calls, i % 2 == 0 ? GetParam() : 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, TeamOf, ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8));

TEST(Team, LeavesItsCallerTheCpusThatItHad) {
  cpu_set_t before;
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  { const Team team(2); }
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

}  // namespace
}  // namespace llamajit::team_test
