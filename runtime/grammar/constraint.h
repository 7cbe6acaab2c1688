// Holds one text to a grammar: which tokens may follow, as logits, and what the text has so far.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/masks.h"

namespace llamajit {

// Texts of one grammar and vocabulary share their Masks, and so they share a thread.
class Constraint {
 public:
  explicit Constraint(std::shared_ptr<Masks> masks) : masks_(std::move(masks)), state_(masks_->automaton()) {}
  Constraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
      : Constraint(std::make_shared<Masks>(std::move(grammar), std::move(trie))) {}

  // Makes the logits of tokens that can't follow -infinity. Tokens that end the text stay where the grammar may end.
  // Throws std::runtime_error where no token of the vocabulary can follow, and the text can't end either.
  void mask(std::span<float> logits);
  // The text goes on with a token's bytes. Throws std::invalid_argument, and stays where it is, for one that may not
  // follow; also for one that ends the text where the grammar does not. One that may end it changes nothing.
  void accept(TokenId token);
  // The same, but for such a token it says false.
  bool try_accept(TokenId token);

  bool may_end() const { return state_.may_end(); }
  // Nothing but the end can follow.
  bool must_end() const { return state_.must_end(); }

 private:
  void move_to_newest();
  std::string_view piece_of(TokenId token) const;

  std::shared_ptr<Masks> masks_;
  GrammarState state_;
};

}  // namespace llamajit
