// Logarithms of the probabilities that a model gives tokens.
#pragma once

#include <span>
#include <vector>

#include "runtime/generate/sampler.h"
#include "runtime/serve/generation.h"

namespace llamajit::serve {

// Of one row of logits after the other: log softmax(x)_i = x_i - max x + log softmax(x)_argmax, where the softmax is
// the generated one, so that the bits are those of every tier and thread count.
class Logprobs {
 public:
  Logprobs(int top, Softmax softmax) : top_(static_cast<std::size_t>(top)), softmax_(std::move(softmax)) {}

  // Takes logits of which one is the largest (have_a_largest()), before anybody changes them.
  void read(std::span<const float> logits);
  float of(TokenId token) const;
  // The likeliest tokens, of equally likely ones those with lower ids.
  std::span<const Likely> top() const { return likeliest_; }

 private:
  void sort_likeliest();

  std::size_t top_;
  Softmax softmax_;
  std::vector<float> logits_;
  std::vector<float> probabilities_;
  std::vector<TokenId> ids_;
  std::vector<Likely> likeliest_;
  float offset_ = 0;  // of a logarithm from its logit
};

}  // namespace llamajit::serve
