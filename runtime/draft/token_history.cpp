#include "runtime/draft/token_history.h"

#include <algorithm>

namespace llamajit {

void TokenHistory::follow(std::span<const TokenId> text) {
  const auto common = static_cast<std::size_t>(std::ranges::mismatch(tokens_, text).in1 - tokens_.begin());
  if (common < tokens_.size()) {
    tokens_.clear();
    before_.clear();
    newest_.clear();
  }
  while (tokens_.size() < text.size()) {
    const auto at = static_cast<std::int32_t>(tokens_.size());
    tokens_.push_back(text[tokens_.size()]);
    before_.push_back(kNone);
    if (at == 0) continue;
    const auto [place, is_new] = newest_.try_emplace(pair_of(tokens_.end()[-2], tokens_.back()), at);
    if (!is_new) before_.back() = std::exchange(place->second, at);
  }
}

// Of the tokens up to and with `position`.
int TokenHistory::length_at(std::size_t position, std::span<const TokenId> text) const {
  const std::size_t most = std::min({position + 1, text.size(), std::size_t{kMostLength}});
  std::size_t length = 0;
  while (length < most && tokens_[position - length] == text[text.size() - 1 - length]) ++length;
  return static_cast<int>(length);
}

std::optional<TokenHistory::Match> TokenHistory::find(std::span<const TokenId> text) const {
  if (text.size() < kLeastLength) return std::nullopt;
  const auto newest = newest_.find(pair_of(text.end()[-2], text.end()[-1]));
  if (newest == newest_.end()) return std::nullopt;
  std::optional<Match> best;
  std::int32_t at = newest->second;
  for (int i = 0; i < kCandidates && at != kNone; ++i, at = before_[static_cast<std::size_t>(at)]) {
    const auto position = static_cast<std::size_t>(at);
    if (position + 1 == tokens_.size()) continue;  // nothing is behind it
    const int length = length_at(position, text);
    if (!best || length > best->length) best = {position + 1, length};
  }
  return best;
}

}  // namespace llamajit
