#include "tokenizer/spm.h"

#include <bit>
#include <limits>
#include <string>
#include <utility>

#include "tokenizer/merger.h"
#include "tokenizer/utf8.h"
#include "tokenizer/visible_space.h"

namespace llamajit {
namespace {

// llama2.c starts its search for the best pair from this score: a piece at or below it is never merged to,
// nor is one whose score is not a number.
constexpr float kLlama2cScoreFloor = -1e10F;

// A text's pairs: two symbols merge when their bytes together are a piece.
class SpmRule {
 public:
  SpmRule(const Vocab& vocab, std::string_view text, float score_floor)
      : vocab_(vocab), text_(text), score_floor_(score_floor) {}

  bool separates(Position at) const { return !vocab_.joins(text_[at - 1], text_[at]); }
  TokenId find(TokenId /*left*/, TokenId /*right*/, Position begin, Position end) const {
    const TokenId id = vocab_.find(text_.substr(begin, end - begin));
    return id >= 0 && vocab_[id].score > score_floor_ ? id : -1;
  }
  static TokenId result(TokenId piece) { return piece; }
  // The higher score first.
  std::uint32_t priority(TokenId piece) const {
    constexpr std::uint32_t kSign = 0x80000000;
    const auto bits = std::bit_cast<std::uint32_t>(vocab_[piece].score + 0.0F);  // makes -0 a tie with +0
    // Unsigned order equals descending order of the floats: positive ones have their lower bits turned
    // around, negative ones come after them and are already in order of magnitude.
    return (bits & kSign) != 0 ? bits : bits ^ ~kSign;
  }

 private:
  const Vocab& vocab_;
  std::string_view text_;
  float score_floor_;
};

using SpmMerger = Merger<SpmRule>;

TokenId byte_id(const Vocab& vocab, char byte) {
  const TokenId id = vocab.byte_piece(static_cast<std::uint8_t>(byte));
  return id >= 0 ? id : vocab.unknown();
}

// Code points that are pieces; the others whole, or as llama2.c has it in bytes that never merge: ~id.
void split(const Vocab& vocab, std::string_view text, bool into_bytes, SpmMerger& merger) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    const auto position = static_cast<Position>(at);
    const TokenId id = vocab.find(text.substr(at, length));
    if (id >= 0 || !into_bytes) {
      merger.add(position, static_cast<Position>(length), id >= 0 ? id : SpmMerger::kNoPiece);
    } else {
      for (Position i = 0; i < length; ++i) merger.add(position + i, 1, ~byte_id(vocab, text[at + i]));
    }
    at += length;
  }
}

// The text as pieces have it.
std::string prepare(std::string_view text, bool space_in_front, bool visible_spaces) {
  std::string prepared(space_in_front ? 1 : 0, ' ');
  return prepared.append(visible_spaces ? with_spaces(text) : std::string(text));
}

}  // namespace

SpmTokenizer::SpmTokenizer(Vocab vocab, SpmRules rules)
    : Tokenizer(std::move(vocab), rules.space_prefix), rules_(rules) {}

void SpmTokenizer::encode_text(std::string_view text, bool begins, std::vector<TokenId>& ids) const {
  const std::string prepared = prepare(text, space_prefix() && begins, !rules_.llama2c);
  const float floor = rules_.llama2c ? kLlama2cScoreFloor : -std::numeric_limits<float>::infinity();
  const SpmRule rule(vocab(), prepared, floor);
  SpmMerger merger(rule, prepared.size());
  split(vocab(), prepared, rules_.llama2c, merger);
  merger.merge_all();
  merger.for_each([&](TokenId id, Position begin, Position end) {
    if (id == SpmMerger::kNoPiece) {
      for (Position at = begin; at < end; ++at) {
        if (const TokenId byte = byte_id(vocab(), prepared[at]); byte >= 0) ids.push_back(byte);
      }
    } else {
      ids.push_back(id >= 0 ? id : ~id);
    }
  });
}

}  // namespace llamajit
