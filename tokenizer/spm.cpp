#include "tokenizer/spm.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "tokenizer/key_queue.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using Position = std::uint32_t;  // a byte's offset in the text

// llama2.c starts its search for the best pair from this score: a piece at or below it is never merged to,
// nor is one whose score is not a number.
constexpr float kScoreFloor = -1e10F;

// A pair's place in the queue as one number, the smallest first: the higher score, then the leftmost.
std::uint64_t queue_key(float score, Position position) {
  constexpr std::uint32_t kSign = 0x80000000;
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // makes -0 a tie with +0
  // Unsigned order equals descending order of the floats: positive ones have their lower bits turned around,
  // negative ones come after them and are already in order of magnitude.
  const std::uint32_t descending = (bits & kSign) != 0 ? bits : bits ^ ~kSign;
  return std::uint64_t{descending} << 32 | position;
}

// The text as a linked list of symbols, and a queue of the pairs that can be merged. A symbol lives at the
// position of its first byte, so that two neighbours' bytes are one stretch of the text.
//
// Queue entries are not removed when a merge makes them obsolete: an entry counts when it is still what its
// symbol would ask for now.
class Merger {
 public:
  Merger(const Vocab& vocab, std::string_view text);
  void merge_all();
  void append_ids(std::vector<TokenId>& ids) const;

 private:
  struct Symbol {
    Position previous;
    Position next;   // also where this symbol's bytes end
    TokenId id;      // ~id for a symbol that never merges: one byte by fallback
    TokenId merged;  // what this symbol and the next would become, -1: nothing
  };
  struct Memo {  // of merged_id: what a pair becomes depends on its two ids alone
    std::uint64_t pair;
    TokenId merged;
  };
  static constexpr std::size_t kMemos = 1024;
  static constexpr std::uint64_t kNoPair = std::numeric_limits<std::uint64_t>::max();

  void split();
  Position append(Position at, Position previous, Position length, TokenId id);
  TokenId merged_id(Position at);
  TokenId look_up_pair(Position at) const;
  void offer(Position at);
  void merge_queued();
  void merge(Position at);
  Position end() const { return static_cast<Position>(text_.size()); }

  const Vocab& vocab_;
  std::string_view text_;
  std::vector<Symbol> symbols_;  // (text bytes); only those at a symbol's first byte are in use
  std::vector<Memo> memos_;
  KeyQueue queue_;
};

Merger::Merger(const Vocab& vocab, std::string_view text)
    : vocab_(vocab), text_(text), symbols_(text.size()), memos_(kMemos, Memo{kNoPair, -1}) {
  split();
}

// Code points that are pieces, else single bytes.
void Merger::split() {
  Position previous = end();
  for (Position at = 0; at < end();) {
    const auto length = static_cast<Position>(utf8_length(text_.substr(at)));
    const TokenId id = vocab_.find(text_.substr(at, length));
    if (id >= 0) {
      previous = append(at, previous, length, id);
    } else {
      for (Position i = 0; i < length; ++i) {
        const TokenId byte = vocab_.byte_piece(static_cast<std::uint8_t>(text_[at + i]));
        previous = append(at + i, previous, 1, ~(byte >= 0 ? byte : Vocab::kUnknown));
      }
    }
    at += length;
  }
}

Position Merger::append(Position at, Position previous, Position length, TokenId id) {
  symbols_[at] = {previous, at + length, id, -1};
  return at;
}

// Stretches of the text that no piece can join are merged one after the other. The result is the same, as
// they don't touch each other, and the queue of natural text stays as small as a word.
void Merger::merge_all() {
  for (Position at = 0; at < end();) {
    const Position next = symbols_[at].next;
    if (next == end() || !vocab_.joins(text_[next - 1], text_[next])) {
      merge_queued();
    } else {
      offer(at);
    }
    at = next;
  }
}

void Merger::merge_queued() {
  while (!queue_.empty()) {
    const std::uint64_t key = queue_.pop();
    const auto at = static_cast<Position>(key);
    const TokenId merged = symbols_[at].merged;
    if (merged >= 0 && queue_key(vocab_[merged].score, at) == key) merge(at);
  }
}

void Merger::merge(Position at) {
  Symbol& left = symbols_[at];
  Symbol& right = symbols_[left.next];
  right.merged = -1;  // it is no more
  left.id = left.merged;
  left.next = right.next;
  if (left.next != end()) symbols_[left.next].previous = at;
  offer(at);
  if (left.previous != end()) offer(left.previous);
}

// Brings what a symbol and its next would become up to date, and queues it.
void Merger::offer(Position at) {
  const TokenId merged = merged_id(at);
  symbols_[at].merged = merged;
  if (merged >= 0) queue_.push(queue_key(vocab_[merged].score, at));
}

TokenId Merger::merged_id(Position at) {
  const Symbol& left = symbols_[at];
  if (left.next == end()) return -1;
  const Symbol& right = symbols_[left.next];
  if (left.id < 0 || right.id < 0) return -1;
  const std::uint64_t pair = static_cast<std::uint64_t>(left.id) << 32 | static_cast<std::uint64_t>(right.id);
  Memo& memo = memos_[(pair * 0x9E3779B97F4A7C15) >> 54];  // the top 10 bits choose one of kMemos
  if (memo.pair != pair) memo = {pair, look_up_pair(at)};
  return memo.merged;
}

TokenId Merger::look_up_pair(Position at) const {
  const TokenId id = vocab_.find(text_.substr(at, symbols_[symbols_[at].next].next - at));
  return id >= 0 && vocab_[id].score > kScoreFloor ? id : -1;
}

void Merger::append_ids(std::vector<TokenId>& ids) const {
  for (Position at = 0; at < end(); at = symbols_[at].next) {
    const TokenId id = symbols_[at].id;
    ids.push_back(id >= 0 ? id : ~id);
  }
}

}  // namespace

std::vector<TokenId> SpmTokenizer::encode(std::string_view text, bool bos) const {
  constexpr std::size_t kMaxText = std::numeric_limits<Position>::max() - 1;  // less the space in front
  if (text.size() > kMaxText) {
    throw std::length_error(fmt::format("text to encode: at most {} bytes, found {}", kMaxText, text.size()));
  }
  std::vector<TokenId> ids;
  if (bos) ids.push_back(Vocab::kBos);
  if (text.empty()) return ids;

  std::string spaced;
  spaced.reserve(text.size() + 1);
  spaced.append(1, ' ').append(text);
  Merger merger(vocab_, spaced);
  merger.merge_all();
  merger.append_ids(ids);
  return ids;
}

std::string_view SpmTokenizer::decode(TokenId previous, TokenId token) const {
  if (token < 0 || token >= vocab_.size()) return {};
  const Piece& piece = vocab_[token];
  if (piece.kind == PieceKind::control) return {};
  std::string_view bytes = piece.bytes;
  if (previous == Vocab::kBos && bytes.starts_with(' ')) bytes.remove_prefix(1);
  return bytes;
}

}  // namespace llamajit
