#include "runtime/grammar/automaton.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr Grammar::NodeId kNoNode = std::numeric_limits<Grammar::NodeId>::max();

}  // namespace

std::size_t Automaton::StateHash::operator()(StateId state) const {
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, of stacks in the place of bytes
  for (const StackId stack : automaton->stacks(state)) hash = (hash ^ stack) * 0x100000001B3;
  return hash ^ hash >> 32;
}

bool Automaton::SameState::operator()(StateId a, StateId b) const {
  return std::ranges::equal(automaton->stacks(a), automaton->stacks(b));
}

Automaton::Automaton(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), state_ids_(64, StateHash{this}, SameState{this}) {
  stacks_.push_back({kNoNode, kEmpty, 0});
  met_.push_back(0);
  // kDead and kBeyond both have no stacks; the first is found for none.
  states_ = {{0, 0, 0, false}, {0, 0, 0, false}};
  row_of_ = {kNoRow, kNoRow};
  state_ids_.insert(kDead);
  add_begin();
}

void Automaton::add_begin() {
  begin_ = state_of(stack_of(grammar_->begin(), kEmpty));
}

std::size_t Automaton::bytes() const {
  constexpr std::size_t kHashed = 40;  // an entry of a hash table, as the library has it
  return stacks_.size() * (sizeof(Stack) + sizeof(std::uint32_t) + kHashed) +
         states_.size() * (sizeof(State) + sizeof(std::size_t) + kHashed) +
         (members_.size() + rows_.size()) * sizeof(StackId);
}

void Automaton::check_memory() const {
  if (bytes() <= kMaxBytes) return;
  throw std::runtime_error(fmt::format("{}: expected at most {} bytes of states for one text, found more",
                                       grammar_->name(), kMaxBytes));
}

std::size_t Automaton::add_row(StateId state) {
  check_memory();
  const std::size_t at = rows_.size();
  rows_.resize(at + grammar_->byte_classes(), state > kBeyond ? kUnknown : kDead);
  row_of_[state] = at;
  return at;
}

Automaton::StateId Automaton::find_step(StateId state, std::uint8_t byte_class, std::size_t at) {
  ++now_;
  for (const StackId id : stacks(state)) {
    if (id == kEmpty) continue;
    const Stack stack = stacks_[id];
    for (const Grammar::ByteEdge& edge : grammar_->byte_edges(stack.node)) {
      if (grammar_->class_set(edge.classes).test(byte_class)) reach(stack_of(edge.target, stack.below));
    }
  }
  const StateId next = close();
  rows_[at] = next;
  return next;
}

Automaton::StateId Automaton::state_of(StackId stack) {
  ++now_;
  reach(stack);
  return close();
}

Automaton::StateId Automaton::waiting_at(NodeId node, StackId below) {
  found_.push_back(stack_of(node, below));
  return state_of_found();
}

Automaton::StateId Automaton::taken_over(const Automaton& other, StateId state) {
  if (state <= kBeyond) return state;
  std::vector<NodeId> path;
  for (const StackId id : other.stacks(state)) {
    path.clear();
    for (StackId at = id; at != kEmpty; at = other.stack(at).below) path.push_back(other.stack(at).node);
    StackId copy = kEmpty;
    std::ranges::reverse(path);
    for (const NodeId node : path) copy = stack_of(node, copy);
    found_.push_back(copy);
  }
  return state_of_found();
}

Automaton::StackId Automaton::stack_of(NodeId node, StackId below) {
  const auto [at, is_new] =
      stack_ids_.try_emplace(std::uint64_t{below} << 32 | node, static_cast<StackId>(stacks_.size()));
  if (is_new) {
    stacks_.push_back({node, below, stacks_[below].depth + 1});
    met_.push_back(0);
  }
  return at->second;
}

void Automaton::reach(StackId stack) {
  if (std::exchange(met_[stack], now_) == now_) return;
  if (stacks_[stack].depth > kMaxDepth) {
    beyond_ = true;
    return;
  }
  open_.push_back(stack);
}

// Follows calls, ends of rules and jumps from what was reached, until each stack waits for a byte.
Automaton::StateId Automaton::close() {
  std::size_t looked_at = 0;
  while (!open_.empty()) {
    const StackId id = open_.back();
    open_.pop_back();
    if (id == kEmpty) {
      found_.push_back(kEmpty);
      continue;
    }
    const Stack stack = stacks_[id];
    if (!grammar_->byte_edges(stack.node).empty()) found_.push_back(id);
    if (found_.size() > kMaxStacks || ++looked_at > kMaxStacks * 8) {
      open_.clear();
      found_.clear();
      beyond_ = true;
      break;
    }
    for (const Grammar::CallEdge& call : grammar_->calls(stack.node)) {
      // A rule that is called last leaves nothing to come back to.
      const StackId below =
          grammar_->only_ends(call.target) ? stack.below : stack_of(call.target, stack.below);
      reach(stack_of(call.begin, below));
    }
    for (const NodeId target : grammar_->jumps(stack.node)) reach(stack_of(target, stack.below));
    if (grammar_->ends(stack.node)) reach(stack.below);
  }
  const bool was_beyond = std::exchange(beyond_, false);
  const StateId state = state_of_found();
  return state == kDead && was_beyond ? kBeyond : state;
}

// The state of the stacks in found_, which is empty afterwards.
Automaton::StateId Automaton::state_of_found() {
  std::ranges::sort(found_);
  const auto id = static_cast<StateId>(states_.size());
  const std::size_t begin = members_.size();
  members_.insert(members_.end(), found_.begin(), found_.end());
  std::uint32_t depth = 0;
  for (const StackId stack : found_) depth = std::max(depth, stacks_[stack].depth);
  const bool may_end = !found_.empty() && found_[0] == kEmpty;
  states_.push_back({begin, static_cast<std::uint32_t>(found_.size()), depth, may_end});
  found_.clear();
  const auto [at, is_new] = state_ids_.insert(id);
  if (is_new) {
    row_of_.push_back(kNoRow);
  } else {
    states_.pop_back();
    members_.resize(begin);
  }
  return *at;
}

}  // namespace llamajit
