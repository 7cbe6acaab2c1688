// Chooses the next token from the logits.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

struct SamplerOptions {
  float temperature = 0;  // 0: argmax, the first maximum wins
  float top_p = 1;        // (0, 1); keep the smallest set of tokens whose probabilities sum to more than this
  int top_k = 0;          // > 0: keep only the k most likely tokens
  float min_p = 0;        // > 0: keep only tokens with p >= min_p * p_max
  float repeat_penalty =
      1;                   // > 1: makes the last `repeat_last_n` tokens less likely (CTRL, arXiv:1909.05858)
  int repeat_last_n = 64;  // 0: none, -1: all
  std::uint64_t seed = 0;
};

// x <- softmax(x * scale), in place. Injected, so that the token path runs generated code for it.
using Softmax = std::function<void(std::span<float> x, float scale)>;

class Sampler {
 public:
  Sampler(const SamplerOptions& options, Softmax softmax);

  // True when sample() is a plain argmax over untouched logits, which callers may do more cheaply.
  bool is_argmax() const;
  // Picks a token; overwrites the logits.
  TokenId sample(std::span<float> logits);
  // Tells the sampler of a token that is now in the text, from the prompt or from sample().
  void accept(TokenId token);

 private:
  SamplerOptions options_;
  Softmax softmax_;
  std::uint64_t rng_state_;
  std::vector<TokenId> history_;  // for the repetition penalty
  std::vector<TokenId> order_;    // scratch: candidates, most likely first
};

}  // namespace llamajit
