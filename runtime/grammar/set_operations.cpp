// Texts that are of two automata at once, or of one and not of the other: both are walked at the same time.
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

constexpr std::string_view kPairs = "texts that two forms of a string allow at once";

// Where a text stands in both; kNowhere, in the second, for one that it hasn't begun.
constexpr int kNowhere = -1;
using Pair = std::pair<int, int>;

class PairWalk {
 public:
  explicit PairWalk(CompileWork& work) : work_(work) {}

  // `node_of` says what a pair's node is, with numbers from number_of(); the first pair begins.
  template <class NodeOf>
  RuleAutomaton run(const NodeOf& node_of) {
    number_of({0, 0});
    RuleAutomaton all;
    while (all.size() < pairs_.size()) {
      RuleNode node = node_of(pairs_[all.size()]);
      work_.charge(2 + (node.bytes.size() + node.jumps.size()) * 4, kPairs);
      work_.hold(2 * (node.bytes.size() * sizeof(node.bytes[0]) + node.jumps.size() * sizeof(int)), kPairs);
      all.push_back(std::move(node));
    }
    return with_ends_alone(all);
  }

  int number_of(Pair pair) {
    const std::uint64_t key =
        std::uint64_t{static_cast<std::uint32_t>(pair.first)} << 32 | static_cast<std::uint32_t>(pair.second);
    const auto [at, is_new] = numbers_.try_emplace(key, static_cast<int>(pairs_.size()));
    if (is_new) {
      work_.charge(16, kPairs);
      work_.hold(2 * sizeof(RuleNode), kPairs);
      pairs_.push_back(pair);
    }
    return at->second;
  }

 private:
  // Without the nodes from which no end is reached, or a text could be begun that none goes on with.
  static RuleAutomaton with_ends_alone(const RuleAutomaton& all) {
    std::vector<std::vector<int>> before(all.size());
    std::vector<int> reached;  // from an end, backwards; to go on with
    std::vector<int> number(all.size(), -1);
    const auto reach = [&](int n) {
      if (std::exchange(number[static_cast<std::size_t>(n)], 0) < 0) reached.push_back(n);
    };
    for (std::size_t n = 0; n < all.size(); ++n) {
      const auto at = static_cast<int>(n);
      for (const auto& [set, target] : all[n].bytes) before[static_cast<std::size_t>(target)].push_back(at);
      for (const int target : all[n].jumps) before[static_cast<std::size_t>(target)].push_back(at);
      if (all[n].ends) reach(at);
    }
    while (!reached.empty()) {
      const auto at = static_cast<std::size_t>(reached.back());
      reached.pop_back();
      for (const int n : before[at]) reach(n);
    }
    if (number[0] < 0) return {};
    int count = 0;
    for (int& n : number) n = n < 0 ? n : count++;
    RuleAutomaton result;
    for (std::size_t n = 0; n < all.size(); ++n) {
      if (number[n] < 0) continue;
      RuleNode& node = result.emplace_back();
      node.ends = all[n].ends;
      for (const auto& [set, target] : all[n].bytes) {
        const int kept = number[static_cast<std::size_t>(target)];
        if (kept >= 0) node.bytes.emplace_back(set, kept);
      }
      for (const int target : all[n].jumps) {
        const int kept = number[static_cast<std::size_t>(target)];
        if (kept >= 0) node.jumps.push_back(kept);
      }
    }
    return result;
  }

  CompileWork& work_;
  std::unordered_map<std::uint64_t, int> numbers_;  // of pairs of nodes
  std::vector<Pair> pairs_;
};

const RuleNode& node_of(const RuleAutomaton& automaton, int node) {
  return automaton[static_cast<std::size_t>(node)];
}

}  // namespace

RuleAutomaton intersection(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work) {
  PairWalk walk(work);
  return walk.run([&](const Pair pair) {
    const RuleNode& first = node_of(a, pair.first);
    const RuleNode& second = node_of(b, pair.second);
    RuleNode node;
    node.ends = first.ends && second.ends;
    // A jump takes no byte, so that the other one stays where it is.
    for (const int target : first.jumps) node.jumps.push_back(walk.number_of({target, pair.second}));
    for (const int target : second.jumps) node.jumps.push_back(walk.number_of({pair.first, target}));
    for (const auto& [set, target] : first.bytes) {
      work.charge(2 + second.bytes.size() * 2, kPairs);
      for (const auto& [other_set, other_target] : second.bytes) {
        const ByteSet both = set & other_set;
        if (both.any()) node.bytes.emplace_back(both, walk.number_of({target, other_target}));
      }
    }
    return node;
  });
}

RuleAutomaton difference(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work) {
  // One node of b's for each text, so that there is no other way by which it might be of b.
  const RuleAutomaton others = fully_determinized(b, work);
  PairWalk walk(work);
  const RuleNode nothing;
  return walk.run([&](const Pair pair) {
    const RuleNode& first = node_of(a, pair.first);
    const RuleNode& second = pair.second == kNowhere ? nothing : node_of(others, pair.second);
    RuleNode node;
    node.ends = first.ends && !second.ends;
    for (const int target : first.jumps) node.jumps.push_back(walk.number_of({target, pair.second}));
    for (const auto& [set, target] : first.bytes) {
      work.charge(2 + second.bytes.size() * 2, kPairs);
      ByteSet rest = set;
      for (const auto& [other_set, other_target] : second.bytes) {
        const ByteSet both = set & other_set;
        if (both.any()) node.bytes.emplace_back(both, walk.number_of({target, other_target}));
        rest &= ~other_set;
      }
      if (rest.any()) node.bytes.emplace_back(rest, walk.number_of({target, kNowhere}));
    }
    return node;
  });
}

}  // namespace llamajit
