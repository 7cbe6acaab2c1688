// What one step of the engine takes: rows of tokens, each of its sequence.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/forward/sequence.h"

namespace llamajit {

// Prompt pieces and single tokens, of one sequence or of several, as they come. A row's position is the next
// one of its sequence.
class Batch {
 public:
  struct Row {
    Sequence* sequence;
    TokenId token;
    bool wants_logits;
    bool wants_hidden = false;
    // Of an engine of a layer that drafts: the hidden state (dim) that the model had one token before, which must live
    // until the step.
    const float* hidden = nullptr;
  };

  void add(Sequence& sequence, TokenId token, bool wants_logits, bool wants_hidden = false) {
    rows_.push_back({&sequence, token, wants_logits, wants_hidden});
  }
  // A piece of a text of whose tokens, from number `first_hidden` on, hidden states are wanted and no logits.
  void add_hidden(Sequence& sequence, std::span<const TokenId> tokens, std::size_t first_hidden) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      rows_.push_back({&sequence, tokens[i], false, i >= first_hidden});
    }
  }
  // A piece of a prompt; of its tokens, those from number `first_logits` on want logits, and all or none hidden states.
  void add(Sequence& sequence, std::span<const TokenId> tokens, std::size_t first_logits,
           bool wants_hidden = false) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      add(sequence, tokens[i], i >= first_logits, wants_hidden);
    }
  }
  void add(const Row& row) { rows_.push_back(row); }
  void clear() { rows_.clear(); }

  std::span<const Row> rows() const { return rows_; }

 private:
  std::vector<Row> rows_;
};

}  // namespace llamajit
