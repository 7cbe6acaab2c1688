#include "runtime/grammar/masks.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "runtime/grammar/alike.h"

namespace llamajit {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
// With more stacks, one walk for all of them is cheaper.
constexpr std::size_t kManyStacks = 32;

void set_bit(std::span<std::uint64_t> bits, TokenId token) {
  bits[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<std::size_t>(token) % 64);
}

template <class Use>
void for_each_bit(std::uint64_t word, std::size_t first, const Use& use) {
  for (; word != 0; word &= word - 1) use(first + static_cast<std::size_t>(std::countr_zero(word)));
}

}  // namespace

TokenSet::TokenSet(std::span<const std::uint64_t> bits) {
  for (const std::uint64_t word : bits) count_ += static_cast<std::size_t>(std::popcount(word));
  if (count_ * 32 >= bits.size() * 64) {
    bits_.assign(bits.begin(), bits.end());
    return;
  }
  list_.reserve(count_);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    for_each_bit(bits[i], i * 64,
                 [this](std::size_t token) { list_.push_back(static_cast<TokenId>(token)); });
  }
}

std::size_t TokenSet::bytes() const {
  return bits_.size() * sizeof(bits_[0]) + list_.size() * sizeof(list_[0]);
}

void TokenSet::add_to(std::span<std::uint64_t> bits) const {
  for (std::size_t i = 0; i < bits_.size(); ++i) bits[i] |= bits_[i];
  for (const TokenId token : list_) set_bit(bits, token);
}

void TokenSet::keep(std::span<float> logits) const {
  if (bits_.empty()) {
    // Lists ascend, and what lies between is filled.
    std::size_t next = 0;
    for (const TokenId token : list_) {
      const auto at = static_cast<std::size_t>(token);
      if (at >= logits.size()) break;
      std::fill(logits.begin() + static_cast<std::ptrdiff_t>(next),
                logits.begin() + static_cast<std::ptrdiff_t>(at), kNever);
      next = at + 1;
    }
    std::fill(logits.begin() + static_cast<std::ptrdiff_t>(next), logits.end(), kNever);
    return;
  }
  for (std::size_t first = 0; first < logits.size(); first += 64) {
    const std::uint64_t word = first / 64 < bits_.size() ? bits_[first / 64] : 0;
    const std::span<float> part = logits.subspan(first, std::min<std::size_t>(64, logits.size() - first));
    if (word == 0) {
      std::ranges::fill(part, kNever);
    } else {
      for_each_bit(~word, 0, [&](std::size_t i) {
        if (i < part.size()) part[i] = kNever;
      });
    }
  }
}

Masks::Masks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie, Bounds bounds)
    : grammar_(std::move(grammar)),
      trie_(std::move(trie)),
      bounds_(bounds),
      automaton_(std::make_shared<Automaton>(grammar_)) {
  static_assert(TokenTrie::kLengths.back() <= kAlikeBytes);
  alike_ = alike_for(*grammar_, TokenTrie::kLengths);
  // Among long pieces each node is like itself alone.
  alike_.emplace_back(grammar_->nodes());
  std::iota(alike_.back().begin(), alike_.back().end(), std::uint64_t{0});
  std::uint32_t max_depth = 0;
  for (const PieceTree& tree : trie_->trees()) max_depth = std::max(max_depth, tree.max_depth());
  states_.resize(max_depth + 1);
}

const std::shared_ptr<Automaton>& Masks::automaton() {
  if (automaton_->bytes() > bounds_.automaton) {
    automaton_ = std::make_shared<Automaton>(grammar_);
    entries_.clear();
    masks_.clear();
    locals_.clear();
    cached_bytes_ = 0;
  }
  return automaton_;
}

std::vector<std::uint64_t> Masks::no_bits() const {
  return std::vector<std::uint64_t>((static_cast<std::size_t>(trie_->vocab_size()) + 63) / 64, 0);
}

std::shared_ptr<const TokenSet> Masks::of(StateId state) {
  if (const Entry* const known = find(masks_, state)) return known->mask;
  const auto members = automaton_->stacks(state);
  const std::vector<Automaton::StackId> stacks(members.begin(),
                                               members.end());  // members move while others are made
  std::vector<std::uint64_t> bits = no_bits();
  if (stacks.size() > kManyStacks) {
    for (const PieceTree& tree : trie_->trees()) add_walked(tree, 0, state, bits);
  } else {
    for (const Automaton::StackId stack : stacks) {
      if (stack != Automaton::kEmpty) add_followers(stack, bits);
    }
  }
  auto mask = std::make_shared<const TokenSet>(bits);
  keep(masks_, {state, mask, nullptr, mask->bytes()});
  return mask;
}

// Sets the bits of tokens that may follow where a text stands at this stack.
void Masks::add_followers(Automaton::StackId id, std::span<std::uint64_t> bits) {
  const Automaton::Stack stack = automaton_->stack(id);
  for (std::size_t i = 0; i < trie_->trees().size(); ++i) {
    const PieceTree& tree = trie_->trees()[i];
    const auto from_node = local(stack.node, i);
    if (stack.depth + from_node->depth > Automaton::kMaxDepth) {
      add_walked(tree, 0, automaton_->waiting_at(stack.node, stack.below), bits);
      continue;
    }
    from_node->tokens.add_to(bits);
    if (stack.below == Automaton::kEmpty || from_node->ways_out.empty()) continue;
    const StateId below = automaton_->state_of(stack.below);
    for (const PieceTree::Node node : from_node->ways_out) add_walked(tree, node, below, bits);
  }
}

std::shared_ptr<const Masks::Local> Masks::local(Automaton::NodeId node, std::size_t tree) {
  const std::uint64_t key = alike_[tree][node] * trie_->trees().size() + tree;
  if (const Entry* const known = find(locals_, key)) return known->local;
  const PieceTree& pieces = trie_->trees()[tree];
  std::vector<std::uint64_t> bits = no_bits();
  std::vector<PieceTree::Node> ways_out;
  std::uint32_t depth = 0;
  walk(pieces, 0, automaton_->waiting_at(node, Automaton::kEmpty), [&](PieceTree::Node at, StateId state) {
    for (const TokenId token : pieces.tokens(at)) set_bit(bits, token);
    if (automaton_->may_end(state)) ways_out.push_back(at);
    depth = std::max(depth, automaton_->depth(state));
  });
  auto found = std::make_shared<const Local>(Local{TokenSet(bits), std::move(ways_out), depth});
  const std::size_t bytes = found->tokens.bytes() + found->ways_out.size() * sizeof(PieceTree::Node);
  keep(locals_, {key, nullptr, found, bytes});
  return found;
}

void Masks::add_walked(const PieceTree& tree, PieceTree::Node from, StateId state,
                       std::span<std::uint64_t> bits) {
  walk(tree, from, state, [&](PieceTree::Node at, StateId) {
    for (const TokenId token : tree.tokens(at)) set_bit(bits, token);
  });
}

// Over what goes on from a node of the tree, where the automaton stands at `state`.
template <class Visit>
void Masks::walk(const PieceTree& tree, PieceTree::Node from, StateId state, const Visit& visit) {
  states_[tree.depth(from)] = state;
  const PieceTree::Node end = tree.end(from);
  for (PieceTree::Node node = from + 1; node < end;) {
    const std::uint32_t depth = tree.depth(node);
    const StateId next = automaton_->step(states_[depth - 1], tree.byte(node));
    if (next <= Automaton::kBeyond) {
      node = tree.end(node);
      continue;
    }
    states_[depth] = next;
    visit(node, next);
    ++node;
  }
}

const Masks::Entry* Masks::find(const Index& index, std::uint64_t key) {
  const auto at = index.find(key);
  if (at == index.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return &*at->second;
}

void Masks::keep(Index& index, Entry entry) {
  constexpr std::size_t kOverhead = 200;  // of an entry with its set
  entry.bytes += kOverhead;
  cached_bytes_ += entry.bytes;
  entries_.push_front(std::move(entry));
  index[entries_.front().key] = entries_.begin();
  while (cached_bytes_ > bounds_.masks && entries_.size() > 1) {
    const Entry& last = entries_.back();
    cached_bytes_ -= last.bytes;
    (last.local ? locals_ : masks_).erase(last.key);
    entries_.pop_back();
  }
}

}  // namespace llamajit
