// The tokens that end a text.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

struct TextEnds {
  TokenId bos = Vocab::kBos;                 // -1: does not
  std::vector<TokenId> tokens{Vocab::kEos};  // any of these does, too
  bool ignored = false;                      // the text never has one of them

  bool at(TokenId token) const { return !ignored && (token == bos || std::ranges::count(tokens, token) > 0); }
  // Where they are ignored, they have no part in a choice.
  void forbid(std::span<float> logits) const {
    if (!ignored) return;
    const auto forbid_one = [&](TokenId token) {
      const auto i = static_cast<std::size_t>(token);  // -1, for none, becomes too large
      if (i < logits.size()) logits[i] = -std::numeric_limits<float>::infinity();
    };
    forbid_one(bos);
    std::ranges::for_each(tokens, forbid_one);
  }
};
inline TextEnds ends_of(const SpecialTokens& special, bool ignored) {
  return {special.bos_ends ? special.bos : -1, special.ends, ignored};
}

}  // namespace llamajit
