// How well a model predicts a text, and how far its predictions are from another's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "runtime/forward/engine.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// A text that is longer than the context is read in windows of `context` tokens, each beginning `stride`
// behind the one before. Each token but the first is predicted once, in the first window that has it; so with
// all windows but the first, after at least context - stride tokens.
struct Windows {
  int context;  // 2 or more; at most the engine's
  int stride;   // 1 to context
  // Put in the place of the first token of every window but the first, where a text begins with it.
  std::optional<TokenId> begin{};
};

// Sees the logits that predict `target`.
using Prediction = std::function<void(TokenId target, std::span<const float> logits)>;

// Takes a text of 2 tokens or more through the engine, window by window.
void predict(Engine& engine, std::span<const TokenId> tokens, const Windows& windows, const Prediction& see);

// Natural logarithms of softmax(logits)[token].
double log_probability(std::span<const float> logits, TokenId token);
// Returns the Kullback-Leibler divergence (Annals of Mathematical Statistics 22, 1951) of the distributions
// softmax(base) and softmax(logits), in nats: the sum of p_base * (log p_base - log p). Both have one size.
double divergence(std::span<const float> base, std::span<const float> logits);

// The mean of numbers, and its standard error.
class Mean {
 public:
  void add(double value);
  std::int64_t count() const { return count_; }
  double value() const { return mean_; }
  double error() const;  // infinite for fewer than two

 private:
  std::int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // of the distances to the mean
};

}  // namespace llamajit
