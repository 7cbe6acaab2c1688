#include "tokenizer/word_piece.h"

#include <algorithm>
#include <string>
#include <utility>

namespace llamajit {

WordPieceTokenizer::WordPieceTokenizer(Vocab vocab, BertRules rules)
    : Tokenizer(std::move(vocab), true), rules_(rules), pieces_(this->vocab()) {}

void WordPieceTokenizer::encode_text(std::string_view text, bool /*begins*/,
                                     std::vector<TokenId>& ids) const {
  std::string spaced;
  for_each_bert_word(text, rules_, [&](BertWord word) {
    spaced.assign(1, ' ').append(word.bytes);
    const std::size_t before = ids.size();
    if (!word.too_long && append_pieces(spaced, ids)) return;
    ids.resize(before);
    if (vocab().unknown() >= 0) ids.push_back(vocab().unknown());
  });
}

// False: there is a place in the word where no piece begins.
bool WordPieceTokenizer::append_pieces(std::string_view word, std::vector<TokenId>& ids) const {
  while (!word.empty()) {
    std::size_t longest = 0;
    TokenId found = -1;
    pieces_.for_each_prefix(word, [&](std::size_t length, TokenId id) {
      longest = length;
      found = id;
    });
    if (found < 0) return false;
    ids.push_back(found);
    word.remove_prefix(longest);
  }
  return true;
}

bool has_capitals(const Vocab& vocab) {
  std::size_t normal = 0;
  std::size_t capital = 0;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const Piece& piece = vocab[id];
    if (piece.kind != PieceKind::normal) continue;
    ++normal;
    if (std::ranges::any_of(piece.bytes, [](char c) { return c >= 'A' && c <= 'Z'; })) ++capital;
  }
  return capital * 100 > normal;
}

}  // namespace llamajit
