#include "runtime/draft/token_history.h"

#include <algorithm>
#include <array>
#include <utility>

namespace llamajit {

bool TokenHistory::follow(std::span<const TokenId> text) {
  const auto common = static_cast<std::size_t>(std::ranges::mismatch(tokens_, text).in1 - tokens_.begin());
  const bool goes_on = common == tokens_.size();
  if (!goes_on) {
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
  return goes_on;
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
  std::array<std::size_t, kCandidates> places;  // of the longest matches
  std::size_t n = 0;
  int longest = 0;
  std::int32_t at = newest->second;
  for (int i = 0; i < kCandidates && at != kNone; ++i, at = before_[static_cast<std::size_t>(at)]) {
    const auto place = static_cast<std::size_t>(at);
    if (place + 1 == tokens_.size()) continue;  // nothing is behind it
    const int length = length_at(place, text);
    if (length < longest) continue;
    if (length > longest) n = 0;
    longest = length;
    places[n++] = place + 1;
  }
  if (n == 0) return std::nullopt;
  return most_agreed(std::span(places).first(n), longest);
}

// The places are those of the newest first.
TokenHistory::Match TokenHistory::most_agreed(std::span<const std::size_t> places, int length) const {
  Match best{places.front(), length, 0, static_cast<int>(places.size())};
  for (const std::size_t place : places) {
    const auto agrees = [&](std::size_t other) { return tokens_[other] == tokens_[place]; };
    const auto agreeing = static_cast<int>(std::ranges::count_if(places, agrees));
    if (agreeing > best.agreeing) best = {place, length, agreeing, best.places};
  }
  return best;
}

}  // namespace llamajit
