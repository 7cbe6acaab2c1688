// Which tokens may follow where a text of a grammar stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/grammar/automaton.h"
#include "runtime/grammar/token_trie.h"

namespace llamajit {

// A set of tokens: a bit each, or a list where they are few.
class TokenSet {
 public:
  explicit TokenSet(std::span<const std::uint64_t> bits);

  bool empty() const { return count_ == 0; }
  std::size_t bytes() const;
  void add_to(std::span<std::uint64_t> bits) const;
  // Makes the logits of all other tokens -infinity, those of tokens beyond the vocabulary included.
  void keep(std::span<float> logits) const;

 private:
  std::size_t count_ = 0;
  std::vector<std::uint64_t> bits_;
  std::vector<TokenId> list_;
};

// The masks of one grammar over one vocabulary, found when they are first asked for, and kept: those used last, up to
// a bound of bytes. All texts of the grammar share them. Most of a mask follows from the node at the top of a stack
// alone, whatever lies below; that part is found once for all nodes that are alike, by a walk over the vocabulary's
// trees, as XGrammar does (arXiv:2411.15100). Only where a rule ends inside of a token is the rest of that token held
// against what lies below. No lock: one thread uses this at a time.
class Masks {
 public:
  // In bytes; an automaton beyond its bound makes way for a new one.
  struct Bounds {
    std::size_t masks = std::size_t{64} << 20;
    std::size_t automaton = std::size_t{64} << 20;
  };

  Masks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
      : Masks(std::move(grammar), std::move(trie), Bounds{}) {}
  Masks(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie, Bounds bounds);

  // Where texts begin now: an automaton that has grown too large makes way for a new one, to which texts move.
  const std::shared_ptr<Automaton>& automaton();
  // Tokens that may follow in that state of automaton(), but none that ends the text. Throws std::runtime_error where
  // Automaton's memory is not enough.
  std::shared_ptr<const TokenSet> of(Automaton::StateId state);

  const TokenTrie& trie() const { return *trie_; }
  std::size_t cached_bytes() const { return cached_bytes_; }

 private:
  using StateId = Automaton::StateId;

  // What follows from a node alone, of one tree.
  struct Local {
    TokenSet tokens;
    std::vector<PieceTree::Node> ways_out;  // where the node's rule may have ended
    std::uint32_t depth;                    // of the deepest stack on the way
  };
  struct Entry {
    std::uint64_t key;
    std::shared_ptr<const TokenSet> mask;  // one of these
    std::shared_ptr<const Local> local;
    std::size_t bytes;
  };
  using Entries = std::list<Entry>;
  using Index = std::unordered_map<std::uint64_t, Entries::iterator>;

  std::shared_ptr<const Local> local(Automaton::NodeId node, std::size_t tree);
  void add_followers(Automaton::StackId id, std::span<std::uint64_t> bits);
  template <class Visit>
  void walk(const PieceTree& tree, PieceTree::Node from, StateId state, const Visit& visit);
  void add_walked(const PieceTree& tree, PieceTree::Node from, StateId state, std::span<std::uint64_t> bits);
  const Entry* find(const Index& index, std::uint64_t key);
  void keep(Index& index, Entry entry);
  std::vector<std::uint64_t> no_bits() const;

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<const TokenTrie> trie_;
  Bounds bounds_;
  std::vector<std::vector<std::uint64_t>> alike_;  // by tree, for as many bytes as its pieces have
  std::shared_ptr<Automaton> automaton_;
  Entries entries_;  // the one used last in front
  Index masks_;      // by state
  Index locals_;     // by nodes that are alike, and tree
  std::size_t cached_bytes_ = 0;
  std::vector<StateId> states_;  // while walking: by depth
};

}  // namespace llamajit
