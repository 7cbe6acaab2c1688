#include "tokenizer/greedy.h"

#include <string>
#include <utility>

namespace llamajit {

GreedyTokenizer::GreedyTokenizer(Vocab vocab)
    : Tokenizer(std::move(vocab), true),
      pieces_(this->vocab(), [](PieceKind kind) { return kind == PieceKind::normal; }) {}

void GreedyTokenizer::encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const {
  std::string prepared(begins ? 1 : 0, ' ');
  prepared += text;
  for (std::string_view rest = prepared; !rest.empty();) {
    const PieceMatcher::Match match = pieces_.find(rest);
    for (const char byte : rest.substr(0, match.begin)) {
      const TokenId id = vocab().byte_piece(static_cast<std::uint8_t>(byte));
      if (const TokenId known = id >= 0 ? id : vocab().unknown(); known >= 0) ids.push_back(known);
    }
    if (match.id >= 0) ids.push_back(match.id);
    rest.remove_prefix(match.end);
  }
}

}  // namespace llamajit
