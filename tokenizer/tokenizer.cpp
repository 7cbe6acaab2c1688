#include "tokenizer/tokenizer.h"

#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "tokenizer/merger.h"

namespace llamajit {

Tokenizer::Tokenizer(Vocab vocab, bool space_prefix)
    : vocab_(std::move(vocab)),
      space_prefix_(space_prefix),
      user_defined_(vocab_, [](PieceKind kind) { return kind == PieceKind::user_defined; }),
      special_(vocab_, [](PieceKind kind) {
        return kind == PieceKind::user_defined || kind == PieceKind::control || kind == PieceKind::unknown;
      }) {}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  constexpr std::size_t kMaxText = std::numeric_limits<Position>::max() - 1;  // less a space in front
  if (text.size() > kMaxText) {
    throw std::length_error(fmt::format("text to encode: at most {} bytes, found {}", kMaxText, text.size()));
  }
  const SpecialTokens& special = vocab_.special();
  const PieceMatcher& matcher = options.special && special.spelled_in_text ? special_ : user_defined_;
  std::vector<TokenId> ids;
  if (options.bos && special.add_bos && special.bos >= 0) ids.push_back(special.bos);
  bool begins = true;
  while (!text.empty()) {
    const PieceMatcher::Match match = matcher.find(text);
    if (match.begin > 0) {
      encode_text(text.substr(0, match.begin), begins, ids);
      begins = false;
    }
    if (match.id >= 0) {
      ids.push_back(match.id);
      begins = true;
    }
    text.remove_prefix(match.end);
  }
  if (options.eos && special.add_eos && special.eos() >= 0) ids.push_back(special.eos());
  return ids;
}

std::string_view Tokenizer::decode(TokenId previous, TokenId token) const {
  if (token < 0 || token >= vocab_.size()) return {};
  const Piece& piece = vocab_[token];
  if (piece.kind == PieceKind::control || piece.kind == PieceKind::unknown) return {};
  std::string_view bytes = piece.bytes;
  const TokenId bos = vocab_.special().bos;
  if (space_prefix_ && bos >= 0 && previous == bos && bytes.starts_with(' ')) bytes.remove_prefix(1);
  return bytes;
}

}  // namespace llamajit
