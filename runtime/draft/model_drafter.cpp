#include "runtime/draft/model_drafter.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr int kMostPadding = 512;
// The smaller model takes so many tokens of a long prompt in a step of the text, which may be cancelled between them.
constexpr std::size_t kMostUnseen = 256;
// More than this is not read for a guess, but so many tokens of the end, until so many guesses of a draft are right.
constexpr std::size_t kWorthReading = 32, kEnd = 16;
constexpr std::ptrdiff_t kRight = 2;

}  // namespace

ModelDrafter::ModelDrafter(Engine& engine, int vocab_size)
    : engine_(engine),
      sequence_(engine.new_sequence()),
      end_(engine.new_sequence()),
      logits_(static_cast<std::size_t>(vocab_size), -std::numeric_limits<float>::infinity()) {}

// Whether the text has what the last draft began with.
bool ModelDrafter::was_right(std::span<const TokenId> text) const {
  if (draft_.empty() || draft_begins_ > text.size()) return false;
  const auto right = std::ranges::mismatch(draft_, text.subspan(draft_begins_)).in1 - draft_.begin();
  return right >= std::min(kRight, std::ssize(draft_));
}

bool ModelDrafter::reads_all(std::span<const TokenId> text) {
  const auto unseen = text.size() - static_cast<std::size_t>(sequence_.common_length(text));
  if (sequence_.length() == 0 || (guesses_by_end_ && was_right(text))) reads_on_ = true;
  if (unseen <= kWorthReading) reads_on_ = false;
  return reads_on_ || unseen <= kWorthReading;
}

// Where the end begins that guesses are made by: where it did, as long as little was said since.
std::size_t ModelDrafter::find_end(std::span<const TokenId> text) {
  if (guesses_by_end_ && end_begins_ < text.size()) {
    const auto end = text.subspan(end_begins_);
    const auto unseen = end.size() - static_cast<std::size_t>(end_.common_length(end));
    if (unseen <= kWorthReading && end.size() <= kMostUnseen) return end_begins_;
  }
  return text.size() - kEnd;  // which is more than kWorthReading
}

bool ModelDrafter::begin(std::span<const TokenId> text) {
  if (std::ssize(text) > engine_.context()) return false;
  const std::size_t size = text.size();
  const bool by_end = !reads_all(text);
  if (by_end) {
    end_begins_ = find_end(text);
    text = text.subspan(end_begins_);
  } else {
    end_.cut(0);
  }
  guesses_by_end_ = by_end;
  draft_.clear();
  draft_begins_ = size;
  Sequence& sequence = guesser();
  // The last token gives the logits, so it is fed in any case.
  const int held = std::min(sequence.common_length(text), static_cast<int>(text.size()) - 1);
  sequence.cut(held);
  unseen_.assign(text.begin() + held, text.end());
  const auto unknown = [&](TokenId token) { return token >= engine_.config().vocab_size; };
  if (std::ranges::any_of(unseen_, unknown)) return false;
  if (unseen_.size() <= kMostUnseen) return true;
  Batch batch;
  batch.add(sequence, std::span(unseen_).first(kMostUnseen), kMostUnseen);
  engine_.step(batch, [](std::size_t, const RowOutput&) {});
  return false;
}

std::optional<Guess> ModelDrafter::next(Foresight& foresight) {
  Sequence& sequence = guesser();
  if (sequence.length() + std::ssize(unseen_) > engine_.context()) return std::nullopt;
  Batch batch;
  batch.add(sequence, unseen_, unseen_.size() - 1);
  std::size_t vocab = 0;
  engine_.step(batch, [&](std::size_t, const RowOutput& output) {
    vocab = std::min(output.logits.size(), logits_.size());
    std::ranges::copy(output.logits.first(vocab), logits_.begin());
  });
  std::fill(logits_.begin() + static_cast<std::ptrdiff_t>(vocab), logits_.end(),
            -std::numeric_limits<float>::infinity());
  const auto guess = guess_of(logits_, foresight);
  unseen_.clear();
  if (!guess || guess->token >= engine_.config().vocab_size) return std::nullopt;
  unseen_.push_back(guess->token);
  draft_.push_back(guess->token);
  return guess;
}

void refuse_other_vocab(const Vocab& model, const Vocab& draft, const std::string& draft_path) {
  const TokenId common = std::min(model.size(), draft.size());
  if (std::max(model.size(), draft.size()) - common > kMostPadding) {
    throw std::runtime_error(fmt::format("{}: vocabulary: expected the model's of {} tokens, found {}",
                                         draft_path, model.size(), draft.size()));
  }
  for (TokenId id = 0; id < common; ++id) {
    if (model[id].bytes == draft[id].bytes) continue;
    throw std::runtime_error(
        fmt::format("{}: vocabulary: expected the model's, whose token {} is '{}', found '{}'", draft_path,
                    id, model[id].bytes, draft[id].bytes));
  }
}

}  // namespace llamajit
