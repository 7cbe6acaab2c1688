#include "runtime/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "runtime/forward/logits.h"

namespace llamajit {
namespace {

// xorshift* stays at 0 for ever; any other number will do (this one is 2^64 / golden ratio).
constexpr std::uint64_t kSeedForZero = 0x9E3779B97F4A7C15;

// Below this temperature no two different logits share any probability, and 1/T would not stay finite.
constexpr float kColdest = 1e-20F;
constexpr float kHottest = 1e9F;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename T>
void require(bool valid, const char* option, const char* expected, T found) {
  if (!valid) throw std::invalid_argument(fmt::format("{}: expected {}, found {}", option, expected, found));
}

// Written so that a NaN fails each comparison.
void validate(const SamplerOptions& o) {
  require(o.temperature >= 0 && o.temperature <= kHottest, "temperature", "0 to 1e9", o.temperature);
  require(o.top_p > 0 && o.top_p <= 1, "top_p", "more than 0, at most 1", o.top_p);
  require(o.top_k >= 0, "top_k", "0 or more", o.top_k);
  require(o.min_p >= 0 && o.min_p < 1, "min_p", "0 or more, less than 1", o.min_p);
  require(o.repeat_penalty > 0 && o.repeat_penalty < kInfinity, "repeat_penalty", "more than 0, finite",
          o.repeat_penalty);
  require(o.repeat_last_n >= -1, "repeat_last_n", "-1 or more", o.repeat_last_n);
  require(std::isfinite(o.presence_penalty), "presence_penalty", "a number", o.presence_penalty);
  require(std::isfinite(o.frequency_penalty), "frequency_penalty", "a number", o.frequency_penalty);
  for (const auto& [token, bias] : o.logit_bias) require(std::isfinite(bias), "logit_bias", "a number", bias);
}

TokenId argmax(std::span<const float> x) {
  std::size_t best = 0;
  float maximum = -kInfinity;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] > maximum) {
      maximum = x[i];
      best = i;
    }
  }
  return static_cast<TokenId>(best);
}

// Bounds the logits so that neither they nor their multiples by 1/T can be infinite: softmax has no answer to
// those. The bound is far beyond any useful logit, and exp(-bound / T) is 0.
void bound_by(float bound, std::span<float> logits) {
  for (float& x : logits) x = std::clamp(x, -bound, bound);
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options, Softmax softmax)
    : options_(options),
      softmax_(std::move(softmax)),
      rng_state_(options.seed != 0 ? options.seed : kSeedForZero) {
  validate(options_);
  if (options_.temperature < kColdest) options_.temperature = 0;
  if (options_.temperature > 0 && !softmax_) {
    throw std::invalid_argument("temperature: more than 0 needs a softmax function");
  }
}

bool Sampler::penalises() const {
  return options_.repeat_penalty != 1 && options_.repeat_last_n != 0;
}

bool Sampler::is_argmax() const {
  return options_.temperature == 0 && !penalises() && !counts() && options_.logit_bias.empty();
}

TokenId Sampler::sample(std::span<float> logits) {
  if (!have_a_largest(logits)) return -1;
  add_bias(logits);
  if (penalises()) penalise(logits);
  if (options_.temperature == 0) return argmax(logits);

  const float coin = next_random();
  bound_by(std::min(1e30F * options_.temperature, std::numeric_limits<float>::max()), logits);
  softmax_(logits, 1.0F / options_.temperature);
  const bool filters = options_.top_p < 1 || options_.top_k > 0 || options_.min_p > 0;
  return filters ? draw_from_candidates(logits, coin) : draw_from_all(logits, coin);
}

void Sampler::accept(TokenId token) {
  if (counts()) ++times_[token];
  read(token);
}

void Sampler::read(TokenId token) {
  if (!penalises()) return;
  if (options_.repeat_last_n < 0 || history_.size() < static_cast<std::size_t>(options_.repeat_last_n)) {
    history_.push_back(token);
  } else {
    history_[oldest_] = token;
    oldest_ = (oldest_ + 1) % history_.size();
  }
}

void Sampler::begin(std::span<const TokenId> text) {
  times_.clear();
  history_.clear();
  oldest_ = 0;
  for (const TokenId token : text) read(token);
}

// Each token's logit is changed by itself, so that the map's order is nobody's concern.
void Sampler::add_bias(std::span<float> logits) const {
  const auto add = [&](TokenId token, float bias) {
    const auto i = static_cast<std::size_t>(token);  // a negative one becomes too large
    if (i < logits.size()) logits[i] += bias;
  };
  for (const auto& [token, bias] : options_.logit_bias) add(token, bias);
  for (const auto& [token, times] : times_) {
    add(token, -(options_.presence_penalty + options_.frequency_penalty * static_cast<float>(times)));
  }
}

// Once for each token in the window, however often it is there.
void Sampler::penalise(std::span<float> logits) {
  if (seen_in_.size() < logits.size()) seen_in_.resize(logits.size(), penalise_calls_);
  if (++penalise_calls_ == 0) {  // wrapped around: old marks would look new
    std::fill(seen_in_.begin(), seen_in_.end(), 0);
    penalise_calls_ = 1;
  }
  for (const TokenId token : history_) {
    const auto i = static_cast<std::size_t>(token);  // a negative one becomes too large
    if (i >= logits.size() || seen_in_[i] == penalise_calls_) continue;
    seen_in_[i] = penalise_calls_;
    float& x = logits[i];
    x = x > 0 ? x / options_.repeat_penalty : x * options_.repeat_penalty;
  }
}

// xorshift*; the top 24 bits of its 32-bit output are a float in [0, 1).
float Sampler::next_random() {
  rng_state_ ^= rng_state_ >> 12;
  rng_state_ ^= rng_state_ << 25;
  rng_state_ ^= rng_state_ >> 27;
  const auto output = static_cast<std::uint32_t>((rng_state_ * 0x2545F4914F6CDD1D) >> 32);
  return static_cast<float>(output >> 8) / 16777216.0F;
}

// In the order of the ids. The sum can end a little below 1: then the last token that can be drawn at all.
TokenId Sampler::draw_from_all(std::span<const float> probabilities, float coin) {
  float sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (!(probabilities[i] > 0)) continue;
    sum += probabilities[i];
    last = i;
    if (coin < sum) break;
  }
  return static_cast<TokenId>(last);
}

TokenId Sampler::draw_from_candidates(std::span<const float> probabilities, float coin) {
  collect_candidates(probabilities);
  float limit = options_.top_p < 1 ? options_.top_p : kInfinity;
  if (options_.top_k > 0 || options_.min_p > 0) {
    limit *= sort_until(kInfinity);  // top_p is a part of what the other options kept
  }
  const float r = coin * sort_until(limit);
  float sum = 0;
  for (const Candidate& candidate : candidates_) {
    sum += candidate.probability;
    if (r < sum) return candidate.token;
  }
  return candidates_.empty() ? argmax(probabilities) : candidates_.back().token;
}

// Fills candidates_ with the tokens that top_k and min_p keep, in no order.
void Sampler::collect_candidates(std::span<const float> probabilities) {
  const std::size_t n = probabilities.size();
  float floor = std::numeric_limits<float>::denorm_min();  // more than 0
  if (options_.min_p > 0) {
    floor = std::max(floor, options_.min_p * probabilities[static_cast<std::size_t>(argmax(probabilities))]);
  } else if (options_.top_k == 0 && n > 1) {
    // Tokens that can't be in the set for top_p: were one of them in it, those after it, at most n - 1 and
    // less likely, would sum to less than 1 - top_p.
    floor = std::max(floor, (1.0F - options_.top_p) / static_cast<float>(n - 1));
  }
  candidates_.clear();
  candidates_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (probabilities[i] >= floor) candidates_.push_back({probabilities[i], static_cast<TokenId>(i)});
  }
  const auto k = static_cast<std::size_t>(options_.top_k);
  if (k > 0 && k < candidates_.size()) {
    const auto end = candidates_.begin() + options_.top_k;
    std::nth_element(candidates_.begin(), end, candidates_.end(), more_likely);
    candidates_.erase(end, candidates_.end());
  }
}

bool Sampler::more_likely(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
}

// Sorts the candidates and drops those after the one that brings the sum above `limit`. Returns the sum.
// Usually a few of them have nearly all of the probability, so they are sorted a part at a time.
float Sampler::sort_until(float limit) {
  const auto begin = candidates_.begin();
  float sum = 0;
  for (std::ptrdiff_t sorted = 0, part = 64; begin + sorted != candidates_.end(); part *= 4) {
    const auto from = begin + sorted;
    const auto to = candidates_.end() - from > part ? from + part : candidates_.end();
    if (to != candidates_.end()) std::nth_element(from, to, candidates_.end(), more_likely);
    std::sort(from, to, more_likely);
    for (auto candidate = from; candidate != to; ++candidate) {
      sum += candidate->probability;
      if (sum > limit) {
        candidates_.erase(candidate + 1, candidates_.end());
        return sum;
      }
    }
    sorted = to - begin;
  }
  return sum;
}

}  // namespace llamajit
