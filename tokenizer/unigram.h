// SentencePiece's unigram language model: of all ways to put a text together from pieces, the one whose scores,
// logarithms of probabilities, have the greatest sum.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/charsmap.h"
#include "tokenizer/piece_trie.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

struct UnigramRules {
  bool space_prefix = true;  // a space in front of a text, and of what follows a special piece
  bool merge_spaces = true;  // spaces at both ends are dropped; between words, one is left
  Charsmap charsmap{};
};

class UnigramTokenizer final : public Tokenizer {
 public:
  // Throws std::invalid_argument for a piece that is longer than PieceTrie takes.
  UnigramTokenizer(Vocab vocab, UnigramRules rules);

 private:
  struct Best;
  class Run;

  // The charsmap's replacements, and spaces. Bytes that are no UTF-8 become U+FFFD first. What is no piece has
  // the score of the least probable one less 10, character by character; such characters become their bytes'
  // pieces where the vocabulary has all of them, and otherwise one unknown piece for a run of them.
  // Throws std::length_error where replacements make a text many times as long: those of SentencePiece's maps
  // make eleven bytes of one at most.
  void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;
  std::string prepare(std::string_view text) const;
  bool append_bytes(std::string_view character, std::vector<TokenId>& ids) const;

  UnigramRules rules_;
  PieceTrie pieces_;
  double unknown_score_ = 0;
};

}  // namespace llamajit
