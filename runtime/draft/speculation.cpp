#include "runtime/draft/speculation.h"

#include <utility>

namespace llamajit {

Speculation::Speculation(std::unique_ptr<Drafter> ngrams, std::unique_ptr<Drafter> model, DraftBudget& budget)
    : ngrams_(std::move(ngrams)), model_(std::move(model)), budget_(budget) {}

std::span<const TokenId> Speculation::draft(std::span<const TokenId> text, int most, int rows_alone, int rows,
                                            Foresight& foresight) {
  draft_.clear();
  sureness_.clear();
  seconds_ = 0;
  if (!budget_.may_begin(rows_alone) || most <= 0) return {};
  const auto start = Clock::now();
  std::optional<Guess> first = begin(text, foresight);
  double right = 1;
  int guesses = 0;
  while (std::ssize(draft_) < most) {
    const int length = static_cast<int>(draft_.size());
    std::optional<Guess> guess = std::exchange(first, std::nullopt);
    if (!guess && drafter_ != nullptr && budget_.worth_a_guess(kind_, right, rows + length, length))
      guess = drafter_->next(foresight);
    if (!guess) break;
    ++guesses;
    right *= budget_.chance(kind_, guess->sureness);
    if (!budget_.worth_a_row(kind_, right, rows + length, length) || !foresight.accept(guess->token)) break;
    draft_.push_back(guess->token);
    sureness_.push_back(guess->sureness);
  }
  seconds_ = seconds_since(start);
  budget_.learn_guesses(kind_, guesses, seconds_);
  counts_.drafted += static_cast<int>(draft_.size());
  return draft_;
}

// The likelier drafter begins. A guess from what came before costs nothing, so it is there to be compared.
std::optional<Guess> Speculation::begin(std::span<const TokenId> text, Foresight& foresight) {
  std::optional<Guess> first;
  drafter_ = nullptr;
  kind_ = DraftKind::ngrams;
  if (ngrams_ && ngrams_->begin(text)) {
    first = ngrams_->next(foresight);
    if (first) drafter_ = ngrams_.get();
  }
  const auto model_is_surer = [&] {
    return !first || budget_.chance(DraftKind::ngrams, first->sureness) < budget_.chance(DraftKind::model);
  };
  if (model_ && model_is_surer() && model_->begin(text)) {
    drafter_ = model_.get();
    kind_ = DraftKind::model;
    first.reset();
  }
  return first;
}

void Speculation::learn_outcome(int right, bool refuted) {
  for (int i = 0; i < right; ++i) budget_.learn_outcome(kind_, sureness_[static_cast<std::size_t>(i)], true);
  if (refuted) budget_.learn_outcome(kind_, sureness_[static_cast<std::size_t>(right)], false);
  counts_.accepted += right;
  ++counts_.steps;
}

}  // namespace llamajit
