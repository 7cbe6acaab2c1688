#include "runtime/draft/mtp_drafter.h"

#include <algorithm>
#include <utility>

namespace llamajit {
namespace {

// So many rows fill a step, and their hidden states wait for it.
constexpr std::size_t kMostWaiting = 512;
// What a guess takes is measured (DraftBudget), so one waits until no more than so many rows come before it.
constexpr std::size_t kMostWithGuess = 32;

}  // namespace

void MtpDrafter::see(std::size_t position, TokenId token, std::span<const float> hidden) {
  if (position < first_ || position > first_ + tokens_.size()) {
    forget(first_);
    first_ = position;
  }
  forget(position);
  if (waiting() == kMostWaiting) take_waiting(waiting(), token, false);
  tokens_.push_back(token);
  hidden_.insert(hidden_.end(), hidden.begin(), hidden.end());
}

// What was seen at this position and behind it, and what was guessed.
void MtpDrafter::forget(std::size_t position) {
  const std::size_t left = position - first_;
  const std::size_t takes = std::min(taken(), left);
  hidden_.resize((left - takes) * dim());
  tokens_.resize(left);
  sequence_.cut(static_cast<int>(takes));
  guess_ = -1;
}

bool MtpDrafter::begin(std::span<const TokenId> text) {
  const std::size_t seen = first_ + tokens_.size();
  if (tokens_.empty() || seen + 1 != text.size() ||
      !std::ranges::equal(tokens_, text.subspan(first_, tokens_.size())))
    return false;
  forget(seen);
  last_ = text.back();
  if (waiting() > kMostWithGuess) {
    take_waiting(waiting() - 1, last_, false);
    return false;
  }
  return waiting() > 0;
}

std::optional<Guess> MtpDrafter::next(Foresight& foresight) {
  const std::size_t rows = guess_ < 0 ? waiting() : 1;
  if (rows == 0 || sequence_.length() + static_cast<int>(rows) > engine_.context()) return std::nullopt;
  if (guess_ < 0) {
    take_waiting(waiting(), last_, true);
  } else {
    take({&guess_, 1}, std::exchange(own_, {}), true);
  }
  const auto guess = guess_of(logits_, foresight);
  if (guess) guess_ = guess->token;
  return guess;
}

// The first n that wait; `last` follows the text that was seen.
void MtpDrafter::take_waiting(std::size_t n, TokenId last, bool guesses) {
  const auto behind = tokens_.begin() + static_cast<std::ptrdiff_t>(taken()) + 1;
  const auto known = static_cast<std::ptrdiff_t>(n < waiting() ? n : n - 1);
  std::vector<TokenId> tokens(behind, behind + known);
  if (tokens.size() < n) tokens.push_back(last);
  const auto end = hidden_.begin() + static_cast<std::ptrdiff_t>(n * dim());
  take(tokens, {hidden_.begin(), end}, guesses);
  hidden_.erase(hidden_.begin(), end);
}

// Rows of hidden states with the tokens behind them; the last of them guesses, or none.
void MtpDrafter::take(std::span<const TokenId> tokens, std::span<const float> hidden, bool guesses) {
  Batch batch;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool wanted = guesses && i + 1 == tokens.size();
    batch.add({&sequence_, tokens[i], wanted, wanted, &hidden[i * dim()]});
  }
  engine_.step(batch, [&](std::size_t, const RowOutput& output) {
    if (!output.hidden.empty()) return own_.assign(output.hidden.begin(), output.hidden.end());
    logits_.assign(output.logits.begin(), output.logits.end());
  });
}

}  // namespace llamajit
