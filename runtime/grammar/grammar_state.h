// Where one text stands in a grammar, byte by byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "runtime/grammar/automaton.h"

namespace llamajit {

// A copy costs a pointer and a number. Copies share an automaton, so one thread has them all.
class GrammarState {
 public:
  explicit GrammarState(std::shared_ptr<const Grammar> grammar)
      : GrammarState(std::make_shared<Automaton>(std::move(grammar))) {}
  explicit GrammarState(std::shared_ptr<Automaton> automaton)
      : automaton_(std::move(automaton)), state_(automaton_->begin()) {}

  // False where no text of the grammar goes on so, or only beyond Automaton's bounds; then nothing follows any more.
  bool accept(std::uint8_t byte) {
    state_ = automaton_->step(state_, byte);
    return state_ > Automaton::kBeyond;
  }
  bool accept(std::string_view bytes) {
    return std::ranges::all_of(bytes, [this](char byte) { return accept(static_cast<std::uint8_t>(byte)); });
  }
  // The text is one of the grammar's as it stands; it is, and no longer one is.
  bool may_end() const { return automaton_->may_end(state_); }
  bool must_end() const { return automaton_->must_end(state_); }
  // A bound of the automaton's is why nothing follows.
  bool is_beyond() const { return state_ == Automaton::kBeyond; }

  const std::shared_ptr<Automaton>& automaton() const { return automaton_; }
  Automaton::StateId id() const { return state_; }
  // Moves to another automaton of the same grammar.
  void move_to(std::shared_ptr<Automaton> other) {
    state_ = other->taken_over(*automaton_, state_);
    automaton_ = std::move(other);
  }

 private:
  std::shared_ptr<Automaton> automaton_;
  Automaton::StateId state_;
};

}  // namespace llamajit
