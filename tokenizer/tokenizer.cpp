#include "tokenizer/tokenizer.h"

#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "tokenizer/merger.h"
#include "tokenizer/nfc.h"
#include "tokenizer/utf8.h"

namespace llamajit {

namespace {

void check_length(std::string_view text) {
  constexpr std::size_t kMaxText = std::numeric_limits<Position>::max() - 1;  // less a space in front
  if (text.size() > kMaxText) {
    throw std::length_error(fmt::format("text to encode: at most {} bytes, found {}", kMaxText, text.size()));
  }
}

}  // namespace

Tokenizer::Tokenizer(Vocab vocab, bool space_prefix, bool nfc)
    : vocab_(std::move(vocab)),
      space_prefix_(space_prefix),
      nfc_(nfc),
      user_defined_(vocab_, [](PieceKind kind) { return kind == PieceKind::user_defined; }),
      special_(vocab_, [](PieceKind kind) {
        return kind == PieceKind::user_defined || kind == PieceKind::control || kind == PieceKind::unknown;
      }) {}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  check_length(text);
  const SpecialTokens& special = vocab_.special();
  const PieceMatcher& matcher = options.special && special.spelled_in_text ? special_ : user_defined_;
  std::vector<TokenId> ids;
  if (options.bos && special.add_bos && special.bos >= 0) ids.push_back(special.bos);
  bool begins = true;
  while (!text.empty()) {
    const PieceMatcher::Match match = matcher.find(text);
    std::string_view plain = text.substr(0, match.begin);
    text.remove_prefix(match.end);
    if (match.id >= 0 && vocab_[match.id].takes_space_before) plain = without_trailing_space(plain);
    if (!plain.empty()) {
      encode_plain(plain, begins, options.normalize, ids);
      begins = false;
    }
    if (match.id >= 0) {
      ids.push_back(match.id);
      begins = true;
      if (vocab_[match.id].takes_space_after) text = without_leading_space(text);
    }
  }
  if (options.eos && special.add_eos && special.eos() >= 0) ids.push_back(special.eos());
  return ids;
}

void Tokenizer::encode_plain(std::string_view text, bool begins, bool normalize,
                             std::vector<TokenId>& ids) const {
  const std::optional<std::string> normalized = nfc_ && normalize ? nfc(text) : std::nullopt;
  if (normalized) check_length(*normalized);
  encode_text(normalized ? *normalized : text, begins, ids);
}

std::string_view Tokenizer::decode(TokenId previous, TokenId token) const {
  if (token < 0 || token >= vocab_.size()) return {};
  const Piece& piece = vocab_[token];
  if (piece.kind == PieceKind::control || piece.kind == PieceKind::unknown) return {};
  std::string_view bytes = piece.bytes;
  const TokenId bos = vocab_.special().bos;
  const bool begins = previous < 0 || previous == bos;
  if (space_prefix_ && begins && bytes.starts_with(' ')) bytes.remove_prefix(1);
  return bytes;
}

}  // namespace llamajit
