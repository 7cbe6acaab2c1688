#include <array>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "runtime/grammar/alike.h"
#include "runtime/grammar/grammar.h"
#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

constexpr std::string_view kEdges = "its edges";

}  // namespace

// Puts the automata of rules into one Grammar.
class GrammarWriter {
 public:
  GrammarWriter(GrammarRules& rules, RuleId root) : rules_(rules), root_(root) {}

  std::shared_ptr<const Grammar> write() {
    build_reachable();
    grammar_.name_ = rules_.name();
    grammar_.begin_ = begins_.at(root_);
    for (const RuleAutomaton& automaton : automata_) add(automaton);
    add_node(false);  // where the last one's edges end
    number_classes();
    count_masks();
    grammar_.compile_steps_ = rules_.work().steps();
    return std::make_shared<const Grammar>(std::move(grammar_));
  }

 private:
  // Of the rules that the root needs, in the order in which they are met.
  void build_reachable() {
    AutomatonBuilder builder(rules_);
    std::vector<RuleId> order{root_};
    begins_[root_] = 0;
    std::size_t nodes = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      automata_.push_back(determinized(builder.build(order[i]), rules_.work()));
      begins_[order[i]] = static_cast<Grammar::NodeId>(nodes);
      nodes += automata_.back().size();
      for (const RuleNode& node : automata_.back()) {
        for (const auto& [rule, target] : node.calls) {
          if (begins_.try_emplace(rule, 0).second) order.push_back(rule);
        }
      }
    }
  }

  void add_node(bool ends) {
    grammar_.nodes_.push_back({static_cast<std::uint32_t>(grammar_.byte_edges_.size()),
                               static_cast<std::uint32_t>(grammar_.calls_.size()),
                               static_cast<std::uint32_t>(grammar_.jumps_.size()), ends});
  }

  void add(const RuleAutomaton& automaton) {
    const auto first = static_cast<Grammar::NodeId>(grammar_.nodes_.size());
    const auto number = [&](int node) { return first + static_cast<Grammar::NodeId>(node); };
    for (const RuleNode& node : automaton) {
      rules_.work().charge(4 + 4 * (node.bytes.size() + node.calls.size() + node.jumps.size()), kEdges);
      rules_.work().hold(
          sizeof(Grammar::Node) + 2 * sizeof(Grammar::CallEdge) * (node.bytes.size() + node.calls.size()),
          kEdges);
      add_node(node.ends);
      for (const auto& [set, target] : node.bytes) {
        const auto index = static_cast<std::uint32_t>(
            sets_.try_emplace(set, static_cast<std::uint32_t>(sets_.size())).first->second);
        grammar_.byte_edges_.push_back({index, number(target)});
        if (index == byte_sets_.size()) byte_sets_.push_back(set);
      }
      for (const auto& [rule, target] : node.calls)
        grammar_.calls_.push_back({begins_.at(rule), number(target)});
      for (const int target : node.jumps) grammar_.jumps_.push_back(number(target));
    }
  }

  // Two bytes are of one class where each set has both or neither.
  void number_classes() {
    rules_.work().charge(byte_sets_.size() * 32, kEdges);
    rules_.work().hold(byte_sets_.size() * 3 * sizeof(ByteSet), kEdges);
    std::array<int, 256> classes{};
    int count = 1;
    for (const ByteSet& set : byte_sets_) {
      std::array<int, 512>
          split{};  // by a class and whether the set has the byte: one more than the new class
      count = 0;
      for (std::size_t byte = 0; byte < classes.size(); ++byte) {
        int& number = split.at(static_cast<std::size_t>(classes.at(byte)) * 2 + (set.test(byte) ? 1 : 0));
        if (number == 0) number = ++count;
        classes.at(byte) = number - 1;
      }
    }
    grammar_.byte_classes_ = static_cast<std::size_t>(count);
    for (std::size_t byte = 0; byte < classes.size(); ++byte) {
      grammar_.byte_class_.at(byte) = static_cast<std::uint8_t>(classes.at(byte));
    }
    for (const ByteSet& set : byte_sets_) {
      Grammar::ByteClasses of_classes;
      for (std::size_t byte = 0; byte < classes.size(); ++byte) {
        if (set.test(byte)) of_classes.set(grammar_.byte_class_.at(byte));
      }
      grammar_.class_sets_.push_back(of_classes);
    }
  }

  // Masks look at each node and edge once for each byte of long pieces (alike.h), which is part of what the grammar costs.
  void count_masks() {
    const std::size_t edges = grammar_.byte_edges_.size() + grammar_.calls_.size() + grammar_.jumps_.size();
    rules_.work().charge((grammar_.nodes() + edges) * kAlikeBytes, "positions that go on alike");
  }

  GrammarRules& rules_;
  RuleId root_;
  Grammar grammar_;
  std::map<RuleId, Grammar::NodeId> begins_;
  std::vector<RuleAutomaton> automata_;
  std::unordered_map<ByteSet, std::uint32_t> sets_;
  std::vector<ByteSet> byte_sets_;
};

std::shared_ptr<const Grammar> compile_grammar(GrammarRules& rules, RuleId root) {
  check_rules(rules);
  return GrammarWriter(rules, root).write();
}

}  // namespace llamajit
