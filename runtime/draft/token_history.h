// Where in a text stood what stands at another one's end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

class TokenHistory {
 public:
  // The tokens before `position` are those at a text's end, `length` of them, kMostLength at most. Of the places with
  // that length, `agreeing` have the token that stands there, `places` in all.
  struct Match {
    std::size_t position;
    int length;
    int agreeing = 1, places = 1;
  };
  static constexpr int kLeastLength = 2;
  static constexpr int kMostLength = 32;
  static constexpr std::size_t kMostTokens = std::numeric_limits<std::int32_t>::max();  // so that places fit

  TokenHistory() = default;
  explicit TokenHistory(std::span<const TokenId> tokens) { follow(tokens); }

  // Becomes `text`. What it has of it already is not looked at again but to be compared. False: it was no beginning of it.
  bool follow(std::span<const TokenId> text);
  std::span<const TokenId> tokens() const { return tokens_; }
  // The longest match of `text`'s end with a token behind it, among the last kCandidates places that share its last two
  // tokens; of equally long ones those that most agree with, and of these the last. `text` may be this one itself.
  std::optional<Match> find(std::span<const TokenId> text) const;

 private:
  static constexpr int kCandidates = 32;
  static constexpr std::int32_t kNone = -1;

  static std::uint64_t pair_of(TokenId first, TokenId second) {
    return std::uint64_t{static_cast<std::uint32_t>(first)} << 32 | static_cast<std::uint32_t>(second);
  }
  int length_at(std::size_t position, std::span<const TokenId> text) const;
  Match most_agreed(std::span<const std::size_t> places, int length) const;

  std::vector<TokenId> tokens_;
  std::vector<std::int32_t> before_;  // the place before with the same two tokens; of each
  std::unordered_map<std::uint64_t, std::int32_t>
      newest_;  // the last place of two tokens: that of the second
};

}  // namespace llamajit
