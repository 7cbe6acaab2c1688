// Guesses by a layer that the model brings itself (multi-token prediction, arXiv:2412.19437): of the hidden state behind a
// token and of the token that follows it, the layer makes the one after that. For more of a draft it goes on from its own
// hidden state.
#pragma once

#include <vector>

#include "runtime/draft/drafter.h"
#include "runtime/forward/engine.h"

namespace llamajit {

class MtpDrafter : public Drafter {
 public:
  // Guesses with a sequence of its own in the engine of the layer (EngineOptions::model).
  explicit MtpDrafter(Engine& engine) : engine_(engine), sequence_(engine.new_sequence()) {}

  bool wants_hidden() const override { return true; }
  // The layer takes a text's tokens when a draft begins, or when many have come. What it did not see of a text (a
  // beginning that was there already) it does without; a token that it took it knows with the one that followed then.
  void see(std::size_t position, TokenId token, std::span<const float> hidden) override;
  // False where the last token but one was not seen, or others than the text's were, and where so many were seen since
  // the last draft that the layer takes them first.
  bool begin(std::span<const TokenId> text) override;
  // What the text's sampler would draw from the layer's logits with the random numbers that it will have.
  std::optional<Guess> next(Foresight& foresight) override;

 private:
  void forget(std::size_t position);
  std::size_t dim() const { return static_cast<std::size_t>(engine_.config().dim); }
  // Of the text, how many positions the layer took.
  std::size_t taken() const { return tokens_.size() - waiting(); }
  std::size_t waiting() const { return hidden_.size() / dim(); }
  void take_waiting(std::size_t n, TokenId last, bool guesses);
  void take(std::span<const TokenId> tokens, std::span<const float> hidden, bool guesses);

  Engine& engine_;
  Sequence sequence_;      // position p has the hidden state of the text's first_ + p and the token behind it
  std::size_t first_ = 0;  // position of the text that was seen first
  std::vector<TokenId> tokens_;  // the text's from there on
  std::vector<float> hidden_;    // behind the last of them, (…, dim): what the layer has not taken yet
  std::vector<float> logits_;    // (vocab_size)
  std::vector<float> own_;       // (dim): the layer's hidden state behind the last guess
  TokenId last_ = -1;            // of the text that the draft at hand began behind
  TokenId guess_ = -1;           // the last; -1: none since the draft began
};

}  // namespace llamajit
