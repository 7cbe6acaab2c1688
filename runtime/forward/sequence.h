// A text as the KV cache holds it: its tokens, and the pages with their keys and values.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "runtime/forward/journaled_name.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/page_table.h"
#include "runtime/forward/sequence_state.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// Sequences with a common beginning share its pages (fork()). The cache must outlive its sequences. Not for several
// threads at once.
//
// A cut or a fork costs nothing where what the next token needs is there. Where layers have windows, that is so for
// the last KvCache::kFreeCut tokens, and farther back as long as the pages of the windows there are not given back;
// where layers keep a state, at the places where it was copied. Anywhere else, tokens must be fed again: those behind
// the last copy of the state, and where pages are gone all of them.
class Sequence {
 public:
  explicit Sequence(KvCache& cache);
  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&& other) noexcept;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;
  ~Sequence() = default;

  int length() const { return static_cast<int>(tokens_.size()); }
  std::span<const TokenId> tokens() const { return tokens_; }
  // Of `tokens`, how many its beginning shares with this sequence.
  int common_length(std::span<const TokenId> tokens) const;
  // Forgets everything from position `length` on, and gives back the pages that are not needed any more.
  void cut(int length);
  // One that begins with the first `length` tokens of this one.
  Sequence fork(int length) const;

  // How many tokens the pages and the state stand for: fewer than there are behind some cuts and forks. The engine
  // feeds it those that it has not seen before it appends others.
  int seen() const { return seen_; }
  // How many that would be behind a cut to `length`, but for what states keep.
  int seen_of(int length) const { return usable(std::min(seen_, length)); }
  // How many pages of a kind the cache must have free before the engine appends `more` tokens.
  int pages_needed(std::size_t kind, int more) const {
    return tables_[kind].pages_needed(seen_, length() + more);
  }
  // Makes room for the keys and values of the next n tokens of a step behind those that were seen, whether they are
  // appended yet or not. pages_needed() must be free, and the context long enough.
  void make_room(int n);
  // Adds tokens that a step takes with those before; there must be room.
  void append(std::span<const TokenId> tokens);
  // A step takes n tokens more of those that are there.
  void see(int n);
  // What the kernels of layers of a kind get for the token at `pos`; it stays true as long as the step.
  jit::Cursor cursor(std::size_t kind, int pos) const {
    return {tokens_[static_cast<std::size_t>(pos)], pos, tables_[kind].data(), state_.data()};
  }

  // What other ranks know it by.
  const JournaledName& name() const { return name_; }

  // Before a step appends so many tokens: keeps the state where texts are taken up again, before and behind
  // pieces of prompts.
  void begin_step(int tokens);

 private:
  // Of the first `seen` tokens all, or none where pages are gone that the next one needs.
  int usable(int seen) const;

  KvCache* cache_;
  JournaledName name_;
  std::vector<TokenId> tokens_;
  std::vector<PageTable> tables_;  // of each kind; they end behind the tokens that were seen
  SequenceState state_;
  int seen_ = 0;
  bool appended_several_ = false;  // at once, the last time
};

}  // namespace llamajit
