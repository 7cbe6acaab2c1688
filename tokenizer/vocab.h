// A vocabulary: pieces of bytes with scores, and what kind of piece each is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llamajit {

using TokenId = std::int32_t;

enum class PieceKind : std::uint8_t {
  normal,
  control,  // <unk>, <s>, </s>: never found in text, never printed
  byte,     // stands for one byte that no other piece covers
};

struct Piece {
  std::string bytes;  // as it appears in text: a byte piece holds its one byte, a space is ' '
  float score = 0;    // the higher, the earlier it is merged
  PieceKind kind = PieceKind::normal;
};

class Vocab {
 public:
  // Builds the look-up tables. Where two normal pieces have the same bytes, the lower id is found.
  explicit Vocab(std::vector<Piece> pieces);

  TokenId size() const { return static_cast<TokenId>(pieces_.size()); }
  const Piece& operator[](TokenId id) const { return pieces_[static_cast<std::size_t>(id)]; }

  // The id of the normal piece with exactly these bytes, or -1.
  TokenId find(std::string_view bytes) const;
  // The id of the byte piece for this byte, or -1 when the vocabulary has none.
  TokenId byte_piece(std::uint8_t byte) const { return byte_pieces_[byte]; }

  static constexpr TokenId kUnknown = 0;
  static constexpr TokenId kBos = 1;
  static constexpr TokenId kEos = 2;

 private:
  std::vector<Piece> pieces_;
  std::unordered_map<std::string_view, TokenId> ids_;
  std::vector<TokenId> byte_pieces_;  // 256 entries
};

}  // namespace llamajit
