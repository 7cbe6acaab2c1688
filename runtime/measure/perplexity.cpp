#include "runtime/measure/perplexity.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "runtime/forward/logits.h"

namespace llamajit {
namespace {

// log(sum of exp(logit))
double log_sum(std::span<const float> logits) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

}  // namespace

void predict(Engine& engine, std::span<const TokenId> tokens, const Windows& windows, const Prediction& see) {
  assert(tokens.size() >= 2 && windows.context >= 2 && windows.stride >= 1);
  assert(windows.context <= engine.context() && windows.stride <= windows.context);
  const auto context = static_cast<std::size_t>(windows.context);
  std::size_t predicted = 1;  // tokens that are, or need not be
  for (std::size_t first = 0; predicted < tokens.size(); first += static_cast<std::size_t>(windows.stride)) {
    const std::size_t end = std::min(tokens.size(), first + context);
    std::vector<TokenId> window(tokens.begin() + static_cast<std::ptrdiff_t>(first),
                                tokens.begin() + static_cast<std::ptrdiff_t>(end));
    if (first > 0 && windows.begin) window.front() = *windows.begin;
    // A window's first token has nothing that predicts it.
    const std::size_t target = std::max(predicted, first + 1);
    window.pop_back();
    if (target < end) {
      engine.feed_each(window, 0, target - 1 - first, [&](std::size_t at, std::span<const float> logits) {
        if (!have_a_largest(logits)) refuse_logits(logits, static_cast<std::int64_t>(first + at));
        see(tokens[first + at + 1], logits);
      });
    }
    predicted = end;
  }
}

double log_probability(std::span<const float> logits, TokenId token) {
  return logits[static_cast<std::size_t>(token)] - log_sum(logits);
}

double divergence(std::span<const float> base, std::span<const float> logits) {
  assert(base.size() == logits.size());
  const double base_sum = log_sum(base), sum = log_sum(logits);
  double result = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const double log_base = base[i] - base_sum;
    const double p = std::exp(log_base);
    if (p > 0) result += p * (log_base - (logits[i] - sum));
  }
  return result;
}

void Mean::add(double value) {
  ++count_;
  const double before = value - mean_;
  mean_ += before / static_cast<double>(count_);
  squares_ += before * (value - mean_);
}

double Mean::error() const {
  if (count_ < 2) return std::numeric_limits<double>::infinity();
  return std::sqrt(squares_ / static_cast<double>(count_ - 1) / static_cast<double>(count_));
}

}  // namespace llamajit
