// Subset construction: a node for each set of nodes that the same bytes and calls lead to.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

using Subset = std::vector<int>;  // ascending

// Beyond either the automaton stays as it is.
std::size_t most_subsets(std::size_t nodes) {
  return nodes * 2 + 64;
}
constexpr std::size_t kMostMembers = std::size_t{1} << 21;

class Determinizer {
 public:
  explicit Determinizer(const RuleAutomaton& automaton) : automaton_(automaton), seen_(automaton.size(), 0) {}

  // False where it is not worth it.
  bool run(RuleAutomaton& result) {
    number_of({0});
    while (result.size() < subsets_.size()) {
      const Subset subset = subsets_[result.size()];
      RuleNode node = edges_of(subset);
      if (subsets_.size() > most_subsets(automaton_.size()) || members_ > kMostMembers) return false;
      result.push_back(std::move(node));
    }
    return true;
  }

 private:
  const RuleNode& node(int n) const { return automaton_[static_cast<std::size_t>(n)]; }

  Subset with_jumps(Subset subset) {
    ++epoch_;
    const auto is_new = [&](int n) {
      return std::exchange(seen_[static_cast<std::size_t>(n)], epoch_) != epoch_;
    };
    std::erase_if(subset, [&](int n) { return !is_new(n); });
    for (std::size_t i = 0; i < subset.size(); ++i) {
      for (const int target : node(subset[i]).jumps) {
        if (is_new(target)) subset.push_back(target);
      }
    }
    // A node that only jumps says nothing.
    std::erase_if(subset,
                  [&](int n) { return node(n).bytes.empty() && node(n).calls.empty() && !node(n).ends; });
    std::ranges::sort(subset);
    return subset;
  }

  int number_of(Subset targets) {
    Subset subset = with_jumps(std::move(targets));
    const auto [at, is_new] = numbers_.try_emplace(subset, static_cast<int>(subsets_.size()));
    if (is_new) {
      members_ += subset.size();
      subsets_.push_back(std::move(subset));
    }
    return at->second;
  }

  RuleNode edges_of(const Subset& subset) {
    RuleNode result;
    std::map<int, ByteSet> by_target;
    std::map<RuleId, Subset> calls;
    ByteSet all, shared;
    for (const int n : subset) {
      result.ends = result.ends || node(n).ends;
      for (const auto& [rule, target] : node(n).calls) calls[rule].push_back(target);
      for (const auto& [set, target] : node(n).bytes) {
        by_target[target] |= set;
      }
    }
    for (const auto& [target, set] : by_target) {
      shared |= all & set;
      all |= set;
    }
    // Bytes that lead to one node alone, and then those that lead to several.
    std::map<Subset, ByteSet> by_targets;
    for (const auto& [target, set] : by_target) {
      if (const ByteSet alone = set & ~shared; alone.any()) by_targets[{target}] |= alone;
    }
    for (std::size_t byte = 0; byte < shared.size() && shared.any(); ++byte) {
      if (!shared.test(byte)) continue;
      Subset targets;
      for (const auto& [target, set] : by_target) {
        if (set.test(byte)) targets.push_back(target);
      }
      by_targets[targets].set(byte);
    }
    std::map<int, ByteSet> edges;
    for (const auto& [targets, set] : by_targets) edges[number_of(targets)] |= set;
    for (const auto& [target, set] : edges) result.bytes.emplace_back(set, target);
    for (auto& [rule, targets] : calls) result.calls.emplace_back(rule, number_of(std::move(targets)));
    return result;
  }

  const RuleAutomaton& automaton_;
  std::vector<int> seen_;
  int epoch_ = 0;
  std::map<Subset, int> numbers_;
  std::vector<Subset> subsets_;
  std::size_t members_ = 0;
};

}  // namespace

RuleAutomaton determinized(RuleAutomaton automaton) {
  RuleAutomaton result;
  if (Determinizer(automaton).run(result)) return result;
  return automaton;
}

}  // namespace llamajit
