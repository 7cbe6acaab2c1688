// Byte-pair merging: the best pair of neighbours becomes one symbol, again and again, in O(n log n).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "tokenizer/key_queue.h"
#include "tokenizer/vocab.h"

namespace llamajit {

using Position = std::uint32_t;  // a byte's offset in the text

// The text as a linked list of symbols, and a queue of the pairs that can be merged. A symbol lives at the
// position of its first byte, so that two neighbours' bytes are one stretch of the text.
//
// A pair that comes after one of its two neighbouring pairs (which share a symbol with it) can't be merged
// before that neighbour is: the queue holds only pairs that come before both. In a long run of one character
// that is one pair for each length of symbol, and the queue stays tiny.
//
// Queue entries are not removed when a merge makes them obsolete: an entry counts when it is still what its
// symbol would ask for now.
//
// The Rule says what merges:
//   bool separates(Position at)        find() joins nothing on both sides of `at`; may always be false
//   int32 find(TokenId left, TokenId right, Position begin, Position end)
//                                      the merge of two neighbours whose bytes are [begin, end), or -1;
//                                      follows from the ids alone unless one of them is kNoPiece
//   TokenId result(int32 merge)        what they become
//   uint32 priority(int32 merge)       the smallest is merged first, the leftmost on a tie; never kNever
template <class Rule>
class Merger {
 public:
  static constexpr TokenId kNoPiece = std::numeric_limits<TokenId>::min();  // bytes that are no piece (yet)

  Merger(const Rule& rule, std::size_t text_bytes)
      : rule_(rule), symbols_(text_bytes), memos_(kMemos, Memo{kNoPair, -1}), previous_(end()) {}

  // No merge joins what was added before with what comes.
  void begin_word() { previous_ = end(); }
  // Adds the text's next symbol. A negative id other than kNoPiece never merges.
  void add(Position at, Position length, TokenId id) {
    symbols_[at] = {previous_, at + length, id, -1, kNever};
    previous_ = at;
  }

  // Stretches of the text that nothing can join are merged one after the other. The result is the same, as
  // they don't touch each other, and the queue of natural text stays as small as a word.
  void merge_all() {
    Position previous = end();
    for (Position at = 0; at < end();) {
      const Position next = symbols_[at].next;
      const bool last = ends_word(at) || rule_.separates(next);
      if (!last) update(at);
      if (previous != end()) offer(previous);
      previous = last ? end() : at;
      if (last) merge_queued();
      at = next;
    }
  }

  // use(id, begin, end) for each symbol, in order.
  template <class Use>
  void for_each(Use use) const {
    for (Position at = 0; at < end(); at = symbols_[at].next) use(symbols_[at].id, at, symbols_[at].next);
  }

 private:
  struct Symbol {
    Position previous;  // the text's end for the first of a word
    Position next;      // also where this symbol's bytes end
    TokenId id;
    std::int32_t merge;      // of this symbol and the next, -1: none
    std::uint32_t priority;  // of that merge, kNever for none
  };
  struct Memo {  // of find()
    std::uint64_t pair;
    std::int32_t merge;
  };
  static constexpr std::uint32_t kNever = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t kMemos = 1024;
  static constexpr std::uint64_t kNoPair = std::numeric_limits<std::uint64_t>::max();

  Position end() const { return static_cast<Position>(symbols_.size()); }

  bool ends_word(Position at) const {
    const Position next = symbols_[at].next;
    return next == end() || symbols_[next].previous == end();
  }

  std::uint64_t queue_key(Position at) const { return std::uint64_t{symbols_[at].priority} << 32 | at; }

  void merge_queued() {
    while (!queue_.empty()) {
      const std::uint64_t key = queue_.pop();
      const auto at = static_cast<Position>(key);
      if (queue_key(at) == key) apply(at);
    }
  }

  // Merges a symbol with its next. That makes two new pairs, and what
  // they come after or before has changed for the pairs on both sides.
  void apply(Position at) {
    Symbol& left = symbols_[at];
    symbols_[left.next].priority = kNever;  // it is no more
    left.id = rule_.result(left.merge);
    left.next = symbols_[left.next].next;
    const bool last = ends_word(at);
    if (!last) symbols_[left.next].previous = at;
    update(at);
    if (left.previous != end()) {
      update(left.previous);
      if (symbols_[left.previous].previous != end()) offer(symbols_[left.previous].previous);
      offer(left.previous);
    }
    offer(at);
    if (!last) offer(left.next);
  }

  // Brings a symbol's merge with its next up to date.
  void update(Position at) {
    Symbol& symbol = symbols_[at];
    symbol.merge = find(at);
    symbol.priority = symbol.merge < 0 ? kNever : rule_.priority(symbol.merge);
  }

  // Queues a symbol's merge with its next, unless a neighbour's comes first.
  void offer(Position at) {
    const Symbol& symbol = symbols_[at];
    if (symbol.priority == kNever) return;
    if (symbol.previous != end() && symbols_[symbol.previous].priority <= symbol.priority) return;
    if (symbols_[symbol.next].priority < symbol.priority) return;  // there is a next, as there is a merge
    queue_.push(queue_key(at));
  }

  std::int32_t find(Position at) {
    const Symbol& left = symbols_[at];
    if (ends_word(at)) return -1;
    const Symbol& right = symbols_[left.next];
    if (left.id < 0 || right.id < 0) return find_new(left, right, at);
    const std::uint64_t pair =
        static_cast<std::uint64_t>(left.id) << 32 | static_cast<std::uint64_t>(right.id);
    Memo& memo = memos_[(pair * 0x9E3779B97F4A7C15) >> 54];  // the top 10 bits choose one of kMemos
    if (memo.pair != pair) memo = {pair, rule_.find(left.id, right.id, at, right.next)};
    return memo.merge;
  }

  std::int32_t find_new(const Symbol& left, const Symbol& right, Position at) const {
    const auto may_merge = [](TokenId id) { return id >= 0 || id == kNoPiece; };
    if (!may_merge(left.id) || !may_merge(right.id)) return -1;
    return rule_.find(left.id, right.id, at, right.next);
  }

  const Rule& rule_;
  std::vector<Symbol> symbols_;  // (text bytes); only those at a symbol's first byte are in use
  std::vector<Memo> memos_;
  KeyQueue queue_;
  Position previous_;  // the last symbol that was added, if it can be merged with the next
};

}  // namespace llamajit
