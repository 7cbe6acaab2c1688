// Drafts: tokens that may come next, guessed for less than the model needs to compute them. The model takes several of
// them in one step, which reads its weights once, and keeps those that it would have chosen itself (speculative
// decoding, Leviathan et al., arXiv:2211.17192). There, a guess is kept by chance, so that the distribution of texts stays
// what it is. Here, every position's logits have the bits that they have without drafts, and the text's own sampler draws from
// them with its own random numbers: a guess is kept where it is what was drawn, and the text itself stays what it is.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "tokenizer/vocab.h"

namespace llamajit {

// How the text would choose its tokens along the draft: with copies of its sampler and of what it is held to, and
// with the random numbers that its next tokens will be drawn with.
class Foresight {
 public:
  virtual ~Foresight() = default;
  // The text's choice from logits of its own vocabulary, which are overwritten; -1: there is none.
  virtual TokenId choose(std::span<float> logits) = 0;
  // The draft goes on with this token. False where no token is wanted behind it, or the text may not have it.
  virtual bool accept(TokenId token) = 0;
};

// A token, and how sure of it the drafter is, on a scale of its own.
struct Guess {
  static constexpr std::size_t kSureness = 8;  // from 0 to kSureness - 1
  TokenId token;
  std::size_t sureness;
};

// By a model's logits, which are overwritten: what the text's sampler would draw from them, the surer the farther their
// largest is ahead of the next. Nothing where the text has no choice.
std::optional<Guess> guess_of(std::span<float> logits, Foresight& foresight);

class Drafter {
 public:
  virtual ~Drafter() = default;
  // Whether it guesses by the hidden states of the text's tokens, which are to be shown to see() then.
  virtual bool wants_hidden() const { return false; }
  // The model took this token at this position of the text, and had this hidden state (dim) behind it. Tokens come one
  // after the other; one that comes before takes the place of all from there on.
  virtual void see(std::size_t /*position*/, TokenId /*token*/, std::span<const float> /*hidden*/) {}
  // Begins a draft behind `text`, which has one token at least. False: it can't behind this one.
  virtual bool begin(std::span<const TokenId> text) = 0;
  // The draft's next token, behind those that were given since it began; nothing where it has none.
  virtual std::optional<Guess> next(Foresight& foresight) = 0;
};

}  // namespace llamajit
