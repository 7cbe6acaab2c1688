// Where texts of a grammar can stand, worked out as they get there: sets of stacks, each kept once.
//
// A stack is a node of the grammar with what follows when its rule ends: another stack. So stacks that agree below share
// what they agree on. A state is a set of stacks; the next byte leads from a state to another, which is looked up when
// it has been found once. It is changed by looking, and has no lock: one thread uses it at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/grammar/grammar.h"

namespace llamajit {

class Automaton {
 public:
  using NodeId = Grammar::NodeId;
  using StackId = std::uint32_t;
  using StateId = std::uint32_t;

  // Of rules within rules, of stacks in one state, and of memory.
  static constexpr std::uint32_t kMaxDepth = 2000;
  static constexpr std::size_t kMaxStacks = 2000;
  static constexpr std::size_t kMaxBytes = std::size_t{256} << 20;

  static constexpr StackId kEmpty = 0;  // nothing follows: the text may end
  static constexpr StateId kDead = 0;   // no text of the grammar begins so
  // A text of the grammar may begin so, but beyond the bounds above. Nothing follows here either.
  static constexpr StateId kBeyond = 1;

  struct Stack {
    NodeId node;
    StackId below;
    std::uint32_t depth;
  };

  explicit Automaton(std::shared_ptr<const Grammar> grammar);

  StateId begin() const { return begin_; }
  // All of these throw std::runtime_error where kMaxBytes are not enough.
  StateId step(StateId state, std::uint8_t byte) {
    const std::size_t at = row(state) + grammar_->byte_class(byte);
    return rows_[at] != kUnknown ? rows_[at] : find_step(state, grammar_->byte_class(byte), at);
  }
  // The state of a text that stands at this one stack, where what lies below has a turn as soon as a rule ends.
  StateId state_of(StackId stack);
  // The state that waits at this one node for a byte.
  StateId waiting_at(NodeId node, StackId below);
  // The same state of another automaton of this grammar.
  StateId taken_over(const Automaton& other, StateId state);

  // The deepest stack's depth.
  std::uint32_t depth(StateId state) const { return states_[state].depth; }
  bool may_end(StateId state) const { return states_[state].may_end; }
  bool must_end(StateId state) const { return may_end(state) && states_[state].count == 1; }
  // Ascending; kEmpty, where it is among them, is the first.
  std::span<const StackId> stacks(StateId state) const {
    return std::span(members_).subspan(states_[state].begin, states_[state].count);
  }
  const Stack& stack(StackId id) const { return stacks_[id]; }
  const std::shared_ptr<const Grammar>& grammar() const { return grammar_; }
  std::size_t bytes() const;

 private:
  static constexpr StateId kUnknown = 0xFFFFFFFF;
  static constexpr std::size_t kNoRow = ~std::size_t{0};

  struct State {
    std::size_t begin;  // in members_
    std::uint32_t count;
    std::uint32_t depth;
    bool may_end;
  };
  struct StateHash {
    using is_transparent = void;
    const Automaton* automaton;
    std::size_t operator()(StateId state) const;
  };
  struct SameState {
    const Automaton* automaton;
    bool operator()(StateId a, StateId b) const;
  };

  void add_begin();
  std::size_t row(StateId state) { return row_of_[state] != kNoRow ? row_of_[state] : add_row(state); }
  std::size_t add_row(StateId state);
  StateId find_step(StateId state, std::uint8_t byte_class, std::size_t at);
  StackId stack_of(NodeId node, StackId below);
  void reach(StackId stack);
  StateId close();
  StateId state_of_found();
  void check_memory() const;

  std::shared_ptr<const Grammar> grammar_;
  std::vector<Stack> stacks_;
  std::unordered_map<std::uint64_t, StackId> stack_ids_;  // by node and what lies below
  std::vector<State> states_;
  std::vector<StackId> members_;  // of the states, one behind the other
  std::unordered_set<StateId, StateHash, SameState> state_ids_;
  std::vector<std::size_t> row_of_;  // a state's successors begin there in rows_, one for each class of bytes
  std::vector<StateId> rows_;
  StateId begin_ = kDead;

  // While a state is made.
  std::vector<StackId> open_;       // still to be looked at
  std::vector<StackId> found_;      // members
  std::vector<std::uint32_t> met_;  // by stack: when it was last met
  std::uint32_t now_ = 0;
  bool beyond_ = false;
};

}  // namespace llamajit
