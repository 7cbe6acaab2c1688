// The drafts of one text: which drafter makes them, and how long they are.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/draft/draft_budget.h"
#include "runtime/draft/drafter.h"

namespace llamajit {

struct DraftCounts {
  int steps = 0;     // with and without drafts
  int drafted = 0;   // tokens
  int accepted = 0;  // of these, what the text has
};

class Speculation {
 public:
  // Either drafter may be nullptr; the second guesses with a model, or with a layer of the text's own. The budget may be
  // that of several texts.
  Speculation(std::unique_ptr<Drafter> ngrams, std::unique_ptr<Drafter> model, DraftBudget& budget);

  // The draft behind `text`, of at most `most` tokens, for a step that has `rows` rows before it, and would have
  // `rows_alone` without any draft. It lives until the next one.
  std::span<const TokenId> draft(std::span<const TokenId> text, int most, int rows_alone, int rows,
                                 Foresight& foresight);
  // As Drafter has them.
  bool wants_hidden() const { return model_ != nullptr && model_->wants_hidden(); }
  void see(std::size_t position, TokenId token, std::span<const float> hidden) {
    model_->see(position, token, hidden);
  }
  // Of the last draft, so many tokens were right, and the next was not, or nobody looked at it.
  void learn_outcome(int right, bool refuted);
  const DraftCounts& counts() const { return counts_; }
  DraftBudget& budget() { return budget_; }
  // The time that the last draft took.
  double seconds() const { return seconds_; }

 private:
  std::optional<Guess> begin(std::span<const TokenId> text, Foresight& foresight);

  std::unique_ptr<Drafter> ngrams_, model_;
  DraftBudget& budget_;
  Drafter* drafter_ = nullptr;  // of the draft at hand; nullptr: none can guess
  DraftKind kind_ = DraftKind::ngrams;
  std::vector<TokenId> draft_;
  std::vector<std::size_t> sureness_;
  double seconds_ = 0;
  DraftCounts counts_;
};

// Where the texts of a model get their drafts.
class DraftSource {
 public:
  virtual ~DraftSource() = default;
  virtual std::unique_ptr<Speculation> begin_text() = 0;
  // Of all of them; who makes the steps tells it what they cost.
  virtual DraftBudget& budget() = 0;
};

}  // namespace llamajit
