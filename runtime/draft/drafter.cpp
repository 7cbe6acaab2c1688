#include "runtime/draft/drafter.h"

#include <algorithm>
#include <array>
#include <limits>

namespace llamajit {
namespace {

// By how much the likeliest token's logit is above the next one's, from the second least sure on; the least sure ones
// are tokens that were drawn though they are not the likeliest.
constexpr std::array<float, Guess::kSureness - 2> kLeads = {0.25F, 0.5F, 1.0F, 2.0F, 3.5F, 6.0F};

struct Leader {
  TokenId token = -1;
  float lead = 0;
};
Leader leader_of(std::span<const float> logits) {
  float first = -std::numeric_limits<float>::infinity(), second = first;
  std::size_t at = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > first) {
      second = first;
      first = logits[i];
      at = i;
    } else if (logits[i] > second) {
      second = logits[i];
    }
  }
  return {static_cast<TokenId>(at), first - second};
}

}  // namespace

std::optional<Guess> guess_of(std::span<float> logits, Foresight& foresight) {
  const Leader leader = leader_of(logits);
  const TokenId token = foresight.choose(logits);
  if (token < 0) return std::nullopt;
  if (token != leader.token) return Guess{token, 0};
  const auto rank = std::ranges::upper_bound(kLeads, leader.lead) - kLeads.begin();
  return Guess{token, 1 + static_cast<std::size_t>(rank)};
}

}  // namespace llamajit
