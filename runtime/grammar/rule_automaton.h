// One rule's automaton while a grammar is made ready.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/grammar/rules.h"

namespace llamajit {

// Writes the automata of rules, of which small ones that end after few bytes are put where they are called.
class AutomatonBuilder {
 public:
  static constexpr std::size_t kMaxNodes = 200'000;

  // `rules` has passed check_rules(), and outlives this.
  explicit AutomatonBuilder(GrammarRules& rules);

  // Throws std::runtime_error when there are more nodes than kMaxNodes, of all rules so far, or beyond CompileWork's
  // bounds.
  RuleAutomaton build(RuleId rule);

  // Of a part alone, before there are all rules: those that it calls, which are not recursive, are put where they are
  // called. As determinized() where that can be.
  static RuleAutomaton written_out(GrammarRules& rules, PartId part);

 private:
  struct AllInlined {};
  AutomatonBuilder(GrammarRules& rules, AllInlined /*tag*/);
  RuleAutomaton build_body(PartId body);
  int add_node();
  void count_edge();
  void build_part(PartId id, int from, int to);
  void build_characters(const Part& part, int from, int to);
  void build_repeat(const Part& part, int from, int to);
  void copy_automaton(const RuleAutomaton& automaton, int from, int to);
  int inlined_size(PartId id, int depth) const;

  GrammarRules& rules_;
  std::vector<char> inlined_;
  RuleAutomaton nodes_;
  std::size_t nodes_before_ = 0;
};

// The same language with no jumps, at most one edge for a byte and one call of a rule from each node; or the automaton
// as it is, where that would take far more nodes.
RuleAutomaton determinized(RuleAutomaton automaton, CompileWork& work);

// However many nodes that takes. Throws std::runtime_error beyond CompileWork's bounds.
RuleAutomaton fully_determinized(const RuleAutomaton& automaton, CompileWork& work);

// The texts of both, and those of `a` that are none of `b`, by pairs of nodes of which one can still get to an end; none,
// where there is no such text. Neither calls rules. Both throw std::runtime_error beyond CompileWork's bounds.
RuleAutomaton intersection(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work);
RuleAutomaton difference(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work);

}  // namespace llamajit
