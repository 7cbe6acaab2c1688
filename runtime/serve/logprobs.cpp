#include "runtime/serve/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace llamajit::serve {

void Logprobs::read(std::span<const float> logits) {
  logits_.assign(logits.begin(), logits.end());
  probabilities_ = logits_;
  softmax_(probabilities_, 1.0F);
  const auto largest = std::ranges::max_element(logits_) - logits_.begin();
  const auto at = static_cast<std::size_t>(largest);
  offset_ = std::log(probabilities_[at]) - logits_[at];
  sort_likeliest();
}

float Logprobs::of(TokenId token) const {
  return logits_[static_cast<std::size_t>(token)] + offset_;
}

void Logprobs::sort_likeliest() {
  ids_.resize(logits_.size());
  std::iota(ids_.begin(), ids_.end(), 0);
  const std::size_t n = std::min(top_, ids_.size());
  const auto likelier = [&](TokenId a, TokenId b) {
    const float x = logits_[static_cast<std::size_t>(a)], y = logits_[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(n), ids_.end(), likelier);
  likeliest_.clear();
  for (std::size_t i = 0; i < n; ++i) likeliest_.push_back({ids_[i], of(ids_[i])});
}

}  // namespace llamajit::serve
