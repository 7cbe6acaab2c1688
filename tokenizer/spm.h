// SentencePiece-style byte-pair encoding: the best-scoring adjacent pair is merged first, the leftmost on a
// tie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/vocab.h"

namespace llamajit {

class SpmTokenizer {
 public:
  explicit SpmTokenizer(const Vocab& vocab) : vocab_(vocab) {}

  // Text (any bytes) to ids: BOS if asked; a " " piece before text that is not empty; each code point by
  // look-up, else its bytes; then merges. What stands for a byte (kUnknown where the vocabulary has no piece
  // for it) never merges, and "<s>" in the text is plain text. O(n log n) in the text's length. Throws
  // std::length_error for a text of 4 GiB or more.
  std::vector<TokenId> encode(std::string_view text, bool bos) const;

  // The bytes that a token adds to the text when it follows `previous`: nothing for control pieces, and a
  // leading space is dropped right after BOS (it is the space that encode put there).
  // Also nothing for an id outside the vocabulary.
  std::string_view decode(TokenId previous, TokenId token) const;

 private:
  const Vocab& vocab_;
};

}  // namespace llamajit
