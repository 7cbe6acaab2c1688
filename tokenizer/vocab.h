// A vocabulary: pieces of bytes with scores, what kind of piece each is, and the few with a role.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llamajit {

using TokenId = std::int32_t;

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD, for what is no text

enum class PieceKind : std::uint8_t {
  normal,
  unknown,       // stands for what no other piece covers; never printed
  control,       // <s>, </s>: found in text only where the caller asks for it, never printed
  user_defined,  // found in text before anything is merged
  unused,        // never found in text
  byte,          // stands for one byte that no other piece covers
};

struct Piece {
  std::string bytes;  // as it appears in text: a byte piece holds its one byte, a space is ' '
  float score = 0;    // the higher, the earlier it is merged
  PieceKind kind = PieceKind::normal;
  // White space in front of the piece, or behind it, belongs to it where it is found in text as it is spelled.
  bool takes_space_before = false;
  bool takes_space_after = false;
};

// The byte that a piece named "<0x00>".."<0xFF>" stands for; nothing for any other name.
std::optional<char> parse_byte_piece(std::string_view name);

// The tokens with a role, and when they are used; -1 stands for none. The defaults are llama2.c's.
struct SpecialTokens {
  TokenId unknown = 0;
  TokenId bos = 1;               // begins a text
  std::vector<TokenId> ends{2};  // any of these ends a text; the first is EOS
  bool add_bos = true;           // an encoded text begins with BOS,
  bool add_eos = false;          // and ends with EOS
  bool bos_ends = true;          // BOS in the middle ends the text before it
  bool spelled_in_text = false;  // what a control piece is called may stand for it in text

  TokenId eos() const { return ends.empty() ? -1 : ends.front(); }
};

class Vocab {
 public:
  // Builds the look-up tables. Where two normal pieces have the same bytes, the lower id is found; likewise
  // for byte pieces. An empty normal piece is never found. Throws std::invalid_argument for a byte piece that
  // does not hold exactly one byte, std::length_error for more pieces than a TokenId can count.
  explicit Vocab(std::vector<Piece> pieces, SpecialTokens special = {});

  // Movable only: the look-up table points into the pieces, which a move leaves where they are.
  Vocab(const Vocab&) = delete;
  Vocab& operator=(const Vocab&) = delete;
  Vocab(Vocab&&) = default;
  Vocab& operator=(Vocab&&) = default;
  ~Vocab() = default;

  TokenId size() const { return static_cast<TokenId>(pieces_.size()); }
  const Piece& operator[](TokenId id) const { return pieces_[static_cast<std::size_t>(id)]; }
  const SpecialTokens& special() const { return special_; }

  // The id of the normal piece with exactly these bytes, or -1.
  TokenId find(std::string_view bytes) const;
  // The id of the byte piece for this byte, or -1 when the vocabulary has none.
  TokenId byte_piece(std::uint8_t byte) const { return byte_pieces_[byte]; }
  // What stands for a byte that no piece has: the unknown piece; U+FFFD, where that is a normal piece and the
  // vocabulary has no unknown one, or (GPT-NeoX's, StarCoder's) names a token that controls or ends a text, which
  // text must not become; -1 for none.
  TokenId unknown() const { return unknown_; }
  // Whether any normal piece has these two bytes next to each other. Where none does, no merge can join the
  // text on both sides.
  bool joins(char left, char right) const { return joins_[join_index(left, right)]; }

  // In llama2.c's vocabularies.
  static constexpr TokenId kUnknown = 0;
  static constexpr TokenId kBos = 1;
  static constexpr TokenId kEos = 2;

 private:
  static std::size_t join_index(char left, char right) {
    return std::size_t{static_cast<std::uint8_t>(left)} << 8 | static_cast<std::uint8_t>(right);
  }
  void add_normal(TokenId id);
  TokenId find_unknown() const;

  std::vector<Piece> pieces_;
  SpecialTokens special_;
  TokenId unknown_ = -1;
  std::unordered_map<std::string_view, TokenId> ids_;  // normal pieces of two bytes and more
  std::array<TokenId, 256> one_byte_ids_;              // normal pieces of one byte: most look-ups of a text
  std::array<TokenId, 256> byte_pieces_;
  std::bitset<65536> joins_;
  std::size_t longest_ = 0;  // bytes of the longest normal piece
};

}  // namespace llamajit
