// WordPiece, BERT's: the longest piece at each place of a word.
#pragma once

#include "tokenizer/bert_words.h"
#include "tokenizer/piece_trie.h"
#include "tokenizer/tokenizer.h"

namespace llamajit {

// A vocabulary's pieces that begin a word have a space in front; those that continue one ("##ing") have nothing.
//
// Where llama.cpp and the models' own tokenizers (BERT's in Python, HuggingFace's) differ, text is cut as the
// latter do, whose ids the models were trained with. llama.cpp drops all marks with the accents, those with a
// width (Mc: vowels of Indian scripts) and enclosing ones (Me), too; it does not end at a hundred characters, and
// ends a word at U+0085, U+000B and U+000C, which BERT drops.
class WordPieceTokenizer final : public Tokenizer {
 public:
  // Throws std::invalid_argument for a piece that is longer than PieceTrie takes.
  explicit WordPieceTokenizer(Vocab vocab, BertRules rules = {});

 private:
  // A word that pieces do not cover from end to end, or of more than 100 characters, is the unknown piece.
  void encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const override;
  bool append_pieces(std::string_view word, std::vector<TokenId>& ids) const;

  BertRules rules_;
  PieceTrie pieces_;
};

// Whether a vocabulary's words have capitals, so that texts must not be put into small letters: files from before
// the key that says so do not tell otherwise. True if more than one normal piece in a hundred has a capital of
// ASCII's: in the vocabulary of BERT's uncased models, none has.
bool has_capitals(const Vocab& vocab);

}  // namespace llamajit
