// A grammar made ready: an automaton over bytes for each rule, whose edges may call other rules. Immutable, so that
// any number of texts and threads share it.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/grammar/rules.h"

namespace llamajit {

class Grammar {
 public:
  using NodeId = std::uint32_t;
  using ByteClasses = std::bitset<256>;  // of byte classes

  // A byte of one of these classes leads on.
  struct ByteEdge {
    std::uint32_t classes;  // index into class_sets
    NodeId target;
  };
  // What a rule says, from its beginning on, leads on.
  struct CallEdge {
    NodeId begin;
    NodeId target;
  };
  // A node's edges lie behind those of the node before it.
  struct Node {
    std::uint32_t byte_edges = 0;  // where the node's begin
    std::uint32_t calls = 0;
    std::uint32_t jumps = 0;  // to nodes that no byte is needed for
    bool ends = false;        // the rule may end here
  };

  std::span<const ByteEdge> byte_edges(NodeId node) const {
    return std::span(byte_edges_)
        .subspan(nodes_[node].byte_edges, nodes_[node + 1].byte_edges - nodes_[node].byte_edges);
  }
  std::span<const CallEdge> calls(NodeId node) const {
    return std::span(calls_).subspan(nodes_[node].calls, nodes_[node + 1].calls - nodes_[node].calls);
  }
  std::span<const NodeId> jumps(NodeId node) const {
    return std::span(jumps_).subspan(nodes_[node].jumps, nodes_[node + 1].jumps - nodes_[node].jumps);
  }
  bool ends(NodeId node) const { return nodes_[node].ends; }
  // Nothing but the rule's end can follow.
  bool only_ends(NodeId node) const {
    return ends(node) && byte_edges(node).empty() && calls(node).empty() && jumps(node).empty();
  }
  const ByteClasses& class_set(std::uint32_t index) const { return class_sets_[index]; }

  // Bytes that no edge tells apart are of one class.
  std::uint8_t byte_class(std::uint8_t byte) const { return byte_class_[byte]; }
  std::size_t byte_classes() const { return byte_classes_; }
  NodeId begin() const { return begin_; }
  std::size_t nodes() const { return nodes_.size() - 1; }
  const std::string& name() const { return name_; }             // for errors
  std::size_t compile_steps() const { return compile_steps_; }  // of CompileWork

 private:
  friend class GrammarWriter;  // grammar_compiler.cpp
  Grammar() = default;

  std::string name_;
  std::vector<Node> nodes_;  // and one more, which says where the last one's edges end
  std::vector<ByteEdge> byte_edges_;
  std::vector<CallEdge> calls_;
  std::vector<NodeId> jumps_;
  std::vector<ByteClasses> class_sets_;
  std::array<std::uint8_t, 256> byte_class_{};
  std::size_t byte_classes_ = 0;
  NodeId begin_ = 0;
  std::size_t compile_steps_ = 0;
};

// Throws what check_rules() throws, and std::runtime_error for a grammar that would take more than some 200,000 nodes
// ({n} and {n,m} are written out, so that they multiply) or more than CompileWork allows.
std::shared_ptr<const Grammar> compile_grammar(GrammarRules& rules, RuleId root);

}  // namespace llamajit
