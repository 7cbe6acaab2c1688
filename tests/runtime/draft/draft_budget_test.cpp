#include "runtime/draft/draft_budget.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace llamajit::draft_budget_test {
namespace {

constexpr auto kKind = DraftKind::model;

// Texts whose guesses are right with this probability, with these prices.
struct World {
  double right;
  double guess_seconds;
  double row_seconds;  // of each row behind the first, which takes 1
};

class Machine {
 public:
  Machine(const World& world, DraftBudget& budget) : world_(world), budget_(budget) {}

  // As Speculation and its callers do it. Gives the draft's length.
  int step() {
    int length = 0;
    double right = 1;
    if (budget_.may_begin(1)) {
      while (budget_.worth_a_guess(kKind, right, 1 + length, length)) {
        right *= budget_.chance(kKind, 4);
        if (!budget_.worth_a_row(kKind, right, 1 + length, length)) break;
        ++length;
      }
    }
    int kept = 0;
    bool refuted = false;
    while (kept < length && !refuted) {
      refuted = std::bernoulli_distribution(1 - world_.right)(random_);
      budget_.learn_outcome(kKind, 4, !refuted);
      kept += refuted ? 0 : 1;
    }
    const double drafting = length * world_.guess_seconds, step = 1 + length * world_.row_seconds;
    budget_.learn_guesses(kKind, length, drafting);
    budget_.learn_step(1 + length, 1 + kept, step, drafting);
    tokens_ += 1 + kept;
    seconds_ += drafting + step;
    return length;
  }
  double rate() const { return tokens_ / seconds_; }

 private:
  World world_;
  DraftBudget& budget_;
  std::mt19937 random_{1};
  double tokens_ = 0, seconds_ = 0;
};

double rate_of(const World& world, std::optional<int> fixed, int steps) {
  DraftBudget budget(fixed);
  Machine machine(world, budget);
  for (int i = 0; i < steps; ++i) machine.step();
  return machine.rate();
}

TEST(DraftBudget, LongDraftsWhereGuessesAreRightAndRowsCheap) {
  const World world{0.95, 0.01, 0.01};
  EXPECT_GT(rate_of(world, {}, 200), 6);
  EXPECT_GT(rate_of(world, {}, 200), 0.9 * rate_of(world, 15, 200));
}

TEST(DraftBudget, IsNearTheBestLengthWhateverThePrices) {
  for (const World& world : {World{0.8, 0.05, 0.02}, World{0.6, 0.1, 0.05}, World{0.9, 0.2, 0.05},
                             World{0.5, 0.02, 0.1}, World{0.3, 0.1, 0.1}}) {
    double best = 0;
    for (int length = 0; length < DraftBudget::kMostRows; ++length) {
      best = std::max(best, rate_of(world, length, 400));
    }
    EXPECT_GT(rate_of(world, {}, 400), 0.85 * best) << world.right << ' ' << world.guess_seconds;
  }
}

TEST(DraftBudget, CostsNextToNothingWhereNothingIsEverRight) {
  EXPECT_GT(rate_of({0, 0.1, 0.1}, {}, 256), 0.97);
  EXPECT_GT(rate_of({0, 0.5, 0.2}, {}, 1024), 0.97);
  EXPECT_GT(rate_of({0, 0, 0.05}, {}, 256), 0.97);
}

TEST(DraftBudget, ComesBackWhereGuessesBecomeRight) {
  DraftBudget budget;
  Machine wrong({0, 0.05, 0.05}, budget);
  for (int i = 0; i < 100; ++i) wrong.step();
  Machine right({0.95, 0.05, 0.05}, budget);
  for (int i = 0; i < 400; ++i) right.step();
  EXPECT_GT(right.rate(), 2);
}

TEST(DraftBudget, AFixedLengthIsKept) {
  for (const int length : {0, 1, 5, 15}) {
    DraftBudget budget(length);
    Machine machine({0.1, 1, 1}, budget);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(machine.step(), length);
  }
}

TEST(DraftBudget, NothingIsDraftedBeforeAPlainStepIsKnown) {
  DraftBudget budget;
  EXPECT_FALSE(budget.may_begin(1));
  budget.learn_step(1, 1, 1.0, 0);
  EXPECT_TRUE(budget.may_begin(1));
  EXPECT_FALSE(budget.may_begin(5)) << "of five texts";
}

}  // namespace
}  // namespace llamajit::draft_budget_test
