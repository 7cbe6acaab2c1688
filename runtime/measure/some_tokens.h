// Tokens to measure with.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

// That don't repeat soon, the same in every run.
inline std::vector<TokenId> some_tokens(int n, int vocab_size) {
  std::vector<TokenId> tokens;
  for (std::int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<TokenId>((i * 7919 + 13) % vocab_size));
  return tokens;
}

}  // namespace llamajit
