// A text as the KV cache holds it: its tokens, and the pages with their keys and values.
#pragma once

#include <span>
#include <vector>

#include "runtime/forward/kv_cache.h"
#include "runtime/forward/sequence_state.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// Sequences with a common beginning share its pages (fork()); a page is copied when one of them writes to it.
// The cache must outlive its sequences. Not for several threads at once.
class Sequence {
 public:
  explicit Sequence(KvCache& cache);
  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&& other) noexcept;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;
  ~Sequence();

  int length() const { return static_cast<int>(tokens_.size()); }
  std::span<const TokenId> tokens() const { return tokens_; }
  // Of `tokens`, how many its beginning shares with this sequence.
  int common_length(std::span<const TokenId> tokens) const;
  // Forgets everything from position `length` on, and gives back the pages that are not needed any more.
  void cut(int length);
  // One that begins with the first `length` tokens of this one.
  Sequence fork(int length) const;

  // How many pages the cache must have free before `more` tokens can be appended.
  int pages_needed(int more) const;
  // Adds tokens and makes room for their keys and values, which the engine writes. pages_needed() must be
  // free, and the context long enough.
  void append(std::span<const TokenId> tokens);
  // As jit::Cursor has them; the address stays.
  std::byte* const* pages() const { return pages_.data(); }
  std::byte* state() const { return state_.data(); }

  // Where layers keep a state, it may be that of fewer tokens than there are, behind a cut or a fork. The engine
  // feeds it those that it has not seen before it appends others.
  int seen() const { return state_.exists() ? state_.seen() : length(); }
  void see_all() { state_.see(length()); }
  // Before a step appends so many tokens: keeps the state where texts are taken up again, before and behind
  // pieces of prompts.
  void begin_step(int tokens);

 private:
  // Makes what attention reads behind the last position finite.
  void clear_behind();

  KvCache* cache_;
  std::vector<TokenId> tokens_;
  std::vector<std::byte*> pages_;
  SequenceState state_;
  bool appended_several_ = false;  // at once, the last time
  int finite_ = 0;  // positions [length(), finite_) were cleared since their pages were taken or cut
};

}  // namespace llamajit
