// What layers without keys and values remember of one text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "runtime/base/memory.h"

namespace llamajit {

// The state behind the last token that was seen, and copies of some earlier ones: a state cannot be taken back
// by a token, but what followed a copy can be fed again.
class SequenceState {
 public:
  // Of so many bytes, which are zeros before the first token; 0: there is nothing to remember.
  explicit SequenceState(std::int64_t bytes);

  std::byte* data() const { return memory_.data(); }  // as jit::Cursor has it
  bool exists() const { return memory_.size() > 0; }
  int seen() const { return seen_; }  // tokens
  void see(int tokens) { seen_ = tokens; }

  // Keeps a copy of the state as it is now, and lets go of the oldest one of more than kCopies.
  void keep_copy();
  // Becomes the latest state that is there of `tokens` tokens, or of fewer.
  void cut(int tokens);
  // That state, as another's.
  SequenceState fork(int tokens) const;

  static constexpr std::size_t kCopies = 2;

 private:
  struct Copy {
    int seen;
    PagedMemory memory;
  };
  // The latest of at most `tokens` tokens; nullptr: the one of none.
  const Copy* latest(int tokens) const;
  void become(const Copy* copy);

  PagedMemory memory_;
  int seen_ = 0;
  std::deque<Copy> copies_;  // ascending
};

}  // namespace llamajit
