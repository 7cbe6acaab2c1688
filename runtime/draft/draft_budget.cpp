#include "runtime/draft/draft_budget.h"

#include <algorithm>

namespace llamajit {
namespace {

// How much a new measurement counts beside those before it. A step that something else held up by more than half
// counts as one half longer.
constexpr double kNewest = 0.2, kMostAbove = 1.5;
// A tally forgets, so that it follows a text that changes.
constexpr double kRemembered = 40;
constexpr int kMostPatience = 512;
// What the first step of a number of rows is taken to cost beside the last smaller number that is known.
constexpr double kGuessedSlope = 1.1;

void follow(double& mean, double measured) {
  mean = mean == 0 ? measured : mean + kNewest * (std::min(measured, kMostAbove * mean) - mean);
}

}  // namespace

void DraftBudget::Tally::add(bool was_right) {
  if (tried >= kRemembered) {
    right /= 2;
    tried /= 2;
  }
  right += was_right ? 1 : 0;
  tried += 1;
}

std::size_t DraftBudget::price_of(int rows) {
  return rows <= 1 ? 0 : rows <= 4 ? 1 : rows <= 8 ? 2 : 3;
}

double DraftBudget::step_price(int rows) const {
  double known = 0;
  for (std::size_t i = 0; i <= price_of(rows); ++i) {
    known = step_seconds_[i] > 0 ? step_seconds_[i] : known * kGuessedSlope;
  }
  return known;
}

bool DraftBudget::may_begin(int rows) {
  rows_alone_ = rows;
  if (fixed_) return *fixed_ > 0;
  if (step_seconds_[price_of(rows)] == 0) return false;  // there is nothing to compare with
  trial_ = plain_steps_ >= patience_;
  return true;
}

// Whether a row that is right with this probability, and some behind it, spare more time than they cost. A token's worth is
// the time that it takes to get one now.
bool DraftBudget::pays(DraftKind kind, double right, int rows, double guess_seconds) const {
  const double alone = step_price(rows_alone_) / rows_alone_;
  const double worth = mean_tokens_ > 0 ? std::min(mean_seconds_ / mean_tokens_, alone) : alone;
  const double next = chance(kind), guess = guess_seconds_[static_cast<std::size_t>(kind)];
  double gain = 0, cost = guess_seconds;
  for (int more = 1; rows + more <= kMostRows; ++more, right *= next, cost += guess) {
    gain += right * worth;
    if (gain > cost + step_price(rows + more) - step_price(rows)) return true;
  }
  return false;
}

bool DraftBudget::worth_a_guess(DraftKind kind, double right, int rows, int length) const {
  if (rows >= kMostRows) return false;
  if (fixed_) return length < *fixed_;
  if (trial_) return length < kTrial;
  return pays(kind, right * chance(kind), rows, guess_seconds_[static_cast<std::size_t>(kind)]);
}

bool DraftBudget::worth_a_row(DraftKind kind, double right, int rows, int length) const {
  if (rows >= kMostRows) return false;
  if (fixed_) return length < *fixed_;
  return trial_ || pays(kind, right, rows, 0);
}

double DraftBudget::chance(DraftKind kind, std::size_t sureness) const {
  return by_sureness_[static_cast<std::size_t>(kind)][sureness].rate();
}
double DraftBudget::chance(DraftKind kind) const {
  return by_kind_[static_cast<std::size_t>(kind)].rate();
}

void DraftBudget::learn_guesses(DraftKind kind, int guesses, double seconds) {
  if (guesses > 0) follow(guess_seconds_[static_cast<std::size_t>(kind)], seconds / guesses);
}

void DraftBudget::learn_outcome(DraftKind kind, std::size_t sureness, bool right) {
  by_sureness_[static_cast<std::size_t>(kind)][sureness].add(right);
  by_kind_[static_cast<std::size_t>(kind)].add(right);
}

void DraftBudget::learn_step(int rows, int tokens, double step_seconds, double draft_seconds) {
  follow(step_seconds_[price_of(rows)], step_seconds);
  follow(mean_seconds_, step_seconds + draft_seconds);
  mean_tokens_ += (mean_tokens_ == 0 ? 1 : kNewest) * (tokens - mean_tokens_);
  if (rows <= rows_alone_) {
    ++plain_steps_;
    return;
  }
  if (trial_) patience_ = tokens > rows_alone_ ? kFirstPatience : std::min(2 * patience_, kMostPatience);
  plain_steps_ = 0;
}

}  // namespace llamajit
