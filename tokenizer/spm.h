// SentencePiece-style byte-pair encoding: the best-scoring
// adjacent pair is merged first, the leftmost on a tie.
#pragma once

#include "tokenizer/tokenizer.h"

namespace llamajit {

struct SpmRules {
  bool space_prefix = true;  // a space in front of a text, and of what follows a special piece
  // As llama2.c has it: a code point that is no piece falls apart into bytes, which never merge, and no merge
  // gives a score of -1e10 or less. Otherwise as SentencePiece: such a code point falls apart only if it is
  // still alone at the end; and U+2581, which stands for a space in its vocabularies, is one in text, too.
  bool llama2c = true;
};

class SpmTokenizer final : public Tokenizer {
 public:
  explicit SpmTokenizer(Vocab vocab, SpmRules rules = {});

 private:
  // Code points by look-up; then merges. What no piece covers becomes byte pieces, or where the vocabulary
  // has none, the unknown piece.
  void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;

  SpmRules rules_;
};

}  // namespace llamajit
