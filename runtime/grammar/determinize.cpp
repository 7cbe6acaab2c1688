// Subset construction: a node for each set of nodes that the same bytes and calls lead to.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

using Subset = std::vector<int>;  // ascending

constexpr std::string_view kSubsets = "sets of positions that the same text leads to";

struct SubsetHash {
  std::size_t operator()(const Subset& subset) const {
    std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, of numbers in the place of bytes
    for (const int n : subset) hash = (hash ^ static_cast<std::uint64_t>(n)) * 0x100000001B3;
    return hash ^ hash >> 32;
  }
};

// Beyond either the automaton stays as it is.
std::size_t most_subsets(std::size_t nodes) {
  return nodes * 2 + 64;
}
constexpr std::size_t kMostMembers = std::size_t{1} << 21;

class Determinizer {
 public:
  Determinizer(const RuleAutomaton& automaton, CompileWork& work)
      : automaton_(automaton), work_(work), seen_(automaton.size(), 0) {}

  // False where it is not worth it, if it is to be.
  bool run(RuleAutomaton& result, bool if_worth_it) {
    number_of({0});
    while (result.size() < subsets_.size()) {
      RuleNode node = edges_of(*subsets_[result.size()]);
      hold(node);
      const bool is_worth_it = subsets_.size() <= most_subsets(automaton_.size()) && members_ <= kMostMembers;
      if (if_worth_it && !is_worth_it) return false;
      result.push_back(std::move(node));
    }
    return true;
  }

 private:
  const RuleNode& node(int n) const { return automaton_[static_cast<std::size_t>(n)]; }

  Subset with_jumps(Subset subset) {
    ++epoch_;
    std::size_t jumps = 0;
    const auto is_new = [&](int n) {
      return std::exchange(seen_[static_cast<std::size_t>(n)], epoch_) != epoch_;
    };
    std::erase_if(subset, [&](int n) { return !is_new(n); });
    for (std::size_t i = 0; i < subset.size(); ++i) {
      jumps += node(subset[i]).jumps.size();
      for (const int target : node(subset[i]).jumps) {
        if (is_new(target)) subset.push_back(target);
      }
    }
    work_.charge(8 + subset.size() * 2 + jumps, kSubsets);
    // A node that only jumps says nothing.
    std::erase_if(subset,
                  [&](int n) { return node(n).bytes.empty() && node(n).calls.empty() && !node(n).ends; });
    std::ranges::sort(subset);
    return subset;
  }

  int number_of(Subset targets) {
    Subset subset = with_jumps(std::move(targets));
    const auto [at, is_new] = numbers_.try_emplace(std::move(subset), static_cast<int>(subsets_.size()));
    if (is_new) {
      members_ += at->first.size();
      subsets_.push_back(&at->first);
    }
    return at->second;
  }

  RuleNode edges_of(const Subset& subset) {
    RuleNode result;
    std::map<int, ByteSet> by_target;
    std::map<RuleId, Subset> calls;
    ByteSet all, shared;
    for (const int n : subset) {
      work_.charge(2 + 4 * (node(n).calls.size() + node(n).bytes.size()), kSubsets);
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
    work_.charge(by_target.size() * 4, kSubsets);
    // Bytes that lead to one node alone, and then those that lead to several.
    std::map<Subset, ByteSet> by_targets;
    for (const auto& [target, set] : by_target) {
      if (const ByteSet alone = set & ~shared; alone.any()) by_targets[{target}] |= alone;
    }
    if (shared.any()) add_shared(by_target, shared, by_targets);
    std::map<int, ByteSet> edges;
    for (const auto& [targets, set] : by_targets) edges[number_of(targets)] |= set;
    for (const auto& [target, set] : edges) result.bytes.emplace_back(set, target);
    for (auto& [rule, targets] : calls) result.calls.emplace_back(rule, number_of(std::move(targets)));
    return result;
  }

  void hold(const RuleNode& node) {
    const std::size_t edges = node.bytes.size() + node.calls.size();
    work_.charge(8 + 4 * edges, kSubsets);
    work_.hold(sizeof(RuleNode) + edges * sizeof(node.bytes[0]), kSubsets);
  }

  // Bytes are parted by each set that has some of them, until those together lead to the same nodes.
  void add_shared(const std::map<int, ByteSet>& by_target, const ByteSet& shared,
                  std::map<Subset, ByteSet>& by_targets) {
    std::unordered_map<ByteSet, Subset> by_set;
    for (const auto& [target, set] : by_target) by_set[set].push_back(target);
    work_.charge(by_target.size() * 4 + by_set.size() * 32, kSubsets);
    std::array<unsigned, 256> parts{};
    std::size_t count = 1;
    for (const auto& [set, targets] : by_set) {
      std::array<unsigned, 512>
          split{};  // by a part and whether the set has the byte: one more than the new part
      unsigned next = 0;
      for (std::size_t byte = 0; byte < parts.size(); ++byte) {
        unsigned& number = split.at(parts.at(byte) * 2 + (set.test(byte) ? 1 : 0));
        if (number == 0) number = ++next;
        parts.at(byte) = number - 1;
      }
      count = next;
    }
    std::vector<ByteSet> sets(count);
    for (std::size_t byte = 0; byte < parts.size(); ++byte) sets[parts.at(byte)].set(byte);
    for (const ByteSet& part : sets) {
      if ((part & shared).none()) continue;
      Subset all;
      for (const auto& [set, targets] : by_set) {
        if ((set & part).any()) all.insert(all.end(), targets.begin(), targets.end());
      }
      work_.charge(8 + by_set.size() + all.size() * 4, kSubsets);
      std::ranges::sort(all);
      by_targets[all] |= part;
    }
  }

  const RuleAutomaton& automaton_;
  CompileWork& work_;
  std::vector<int> seen_;
  int epoch_ = 0;
  std::unordered_map<Subset, int, SubsetHash> numbers_;
  std::vector<const Subset*> subsets_;
  std::size_t members_ = 0;
};

}  // namespace

RuleAutomaton determinized(RuleAutomaton automaton, CompileWork& work) {
  RuleAutomaton result;
  if (Determinizer(automaton, work).run(result, true)) return result;
  return automaton;
}

RuleAutomaton fully_determinized(const RuleAutomaton& automaton, CompileWork& work) {
  RuleAutomaton result;
  Determinizer(automaton, work).run(result, false);
  return result;
}

}  // namespace llamajit
