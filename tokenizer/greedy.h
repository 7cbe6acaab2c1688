// The longest piece at each place of the text, from its beginning on: how alpaca.cpp and its copies tokenise,
// whose files have no scores.
#pragma once

#include "tokenizer/tokenizer.h"

namespace llamajit {

class GreedyTokenizer final : public Tokenizer {
 public:
  // A space goes in front of the text, as LLaMA was trained. A byte where no normal piece begins becomes its
  // byte piece, or the unknown one.
  explicit GreedyTokenizer(Vocab vocab);

 private:
  void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;

  PieceMatcher pieces_;
};

}  // namespace llamajit
