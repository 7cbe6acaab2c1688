#include "tokenizer/vocab.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

void claim(TokenId& slot, TokenId id) {
  if (slot < 0) slot = id;
}

}  // namespace

std::optional<char> parse_byte_piece(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (name.size() != 6 || !name.starts_with("<0x") || name[5] != '>') return std::nullopt;
  const auto high = kDigits.find(name[3]);
  const auto low = kDigits.find(name[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<char>(high << 4 | low);
}

Vocab::Vocab(std::vector<Piece> pieces, SpecialTokens special)
    : pieces_(std::move(pieces)), special_(std::move(special)) {
  if (pieces_.size() > static_cast<std::size_t>(std::numeric_limits<TokenId>::max())) {
    throw std::length_error(
        fmt::format("vocabulary: {} pieces are more than an id can count", pieces_.size()));
  }
  one_byte_ids_.fill(-1);
  byte_pieces_.fill(-1);
  ids_.reserve(pieces_.size());
  for (TokenId id = 0; id < size(); ++id) {
    const Piece& piece = (*this)[id];
    const std::string_view bytes = piece.bytes;
    if (piece.kind == PieceKind::byte) {
      if (bytes.size() != 1) {
        throw std::invalid_argument(
            fmt::format("vocabulary: byte piece {} must hold 1 byte, found {}", id, bytes.size()));
      }
      claim(byte_pieces_[static_cast<std::uint8_t>(bytes[0])], id);
    } else if (piece.kind == PieceKind::normal && !bytes.empty()) {
      add_normal(id);
    }
  }
  unknown_ = find_unknown();
}

TokenId Vocab::find_unknown() const {
  const TokenId id = special_.unknown;
  if (id >= 0 && id < size() && id != special_.bos && std::ranges::count(special_.ends, id) == 0) {
    const PieceKind kind = (*this)[id].kind;
    if (kind == PieceKind::unknown || kind == PieceKind::normal) return id;
  }
  return find(kReplacementCharacter);
}

void Vocab::add_normal(TokenId id) {
  const std::string_view bytes = (*this)[id].bytes;
  if (bytes.size() == 1) {
    claim(one_byte_ids_[static_cast<std::uint8_t>(bytes[0])], id);
  } else {
    ids_.emplace(bytes, id);  // keeps an earlier, lower id
  }
  for (std::size_t i = 1; i < bytes.size(); ++i) joins_.set(join_index(bytes[i - 1], bytes[i]));
  longest_ = std::max(longest_, bytes.size());
}

TokenId Vocab::find(std::string_view bytes) const {
  if (bytes.size() == 1) return one_byte_ids_[static_cast<std::uint8_t>(bytes[0])];
  if (bytes.size() > longest_) return -1;
  const auto found = ids_.find(bytes);
  return found == ids_.end() ? -1 : found->second;
}

}  // namespace llamajit
