// Guesses by a smaller model of the same vocabulary.
#pragma once

#include <vector>

#include "runtime/draft/drafter.h"
#include "runtime/forward/engine.h"

namespace llamajit {

class ModelDrafter : public Drafter {
 public:
  // Guesses with two sequences of its own in the engine of the smaller model, for texts of `vocab_size` tokens. Both
  // vocabularies are the same up to the end of the shorter one (refuse_other_vocab()).
  ModelDrafter(Engine& engine, int vocab_size);

  // False beyond the smaller model's context, behind a token that its vocabulary does not have, and where so much of the
  // text is new to the model that it takes but a piece of it this time. Where the text went on for long without its
  // guesses, it reads but the end, until some are right: reading all would cost more than guesses that are wrong.
  bool begin(std::span<const TokenId> text) override;
  // What the text's sampler would draw from the smaller model's logits with the random numbers that it will have: where
  // both models think alike, they draw alike. The farther the likeliest token is ahead of the next, the surer. Nothing
  // beyond the smaller model's context.
  std::optional<Guess> next(Foresight& foresight) override;

 private:
  bool reads_all(std::span<const TokenId> text);
  std::size_t find_end(std::span<const TokenId> text);
  bool was_right(std::span<const TokenId> text) const;
  Sequence& guesser() { return guesses_by_end_ ? end_ : sequence_; }

  Engine& engine_;
  Sequence sequence_;
  Sequence end_;  // of the text, from this position on
  std::size_t end_begins_ = 0;
  bool guesses_by_end_ = false, reads_on_ = false;
  std::vector<TokenId> draft_;    // the last one
  std::size_t draft_begins_ = 0;  // in the text
  std::vector<float> logits_;     // (vocab_size)
  std::vector<TokenId> unseen_;   // of the text and the draft, what the sequence does not hold yet
};

// Throws std::runtime_error that names the first token that differs, and std::runtime_error where the numbers of tokens do.
// Models of a family have the same tokens, and up to kMostPadding more without a use, so that their number suits some
// hardware.
void refuse_other_vocab(const Vocab& model, const Vocab& draft, const std::string& draft_path);

}  // namespace llamajit
