// Texts that are of two automata at once: both are walked at the same time.
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

constexpr std::string_view kPairs = "texts that two forms of a string allow at once";

class Intersector {
 public:
  Intersector(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work)
      : a_(a), b_(b), work_(work) {}

  RuleAutomaton run() {
    number_of(0, 0);
    RuleAutomaton all;
    while (all.size() < pairs_.size()) {
      const auto [a, b] = pairs_[all.size()];
      all.push_back(node_of(a, b));
    }
    return with_ends_alone(all);
  }

 private:
  int number_of(int a, int b) {
    const std::uint64_t pair =
        std::uint64_t{static_cast<std::uint32_t>(a)} << 32 | static_cast<std::uint32_t>(b);
    const auto [at, is_new] = numbers_.try_emplace(pair, static_cast<int>(pairs_.size()));
    if (is_new) {
      work_.charge(16, kPairs);
      work_.hold(2 * sizeof(RuleNode), kPairs);
      pairs_.emplace_back(a, b);
    }
    return at->second;
  }

  RuleNode node_of(int a, int b) {
    const RuleNode& first = a_[static_cast<std::size_t>(a)];
    const RuleNode& second = b_[static_cast<std::size_t>(b)];
    RuleNode node;
    node.ends = first.ends && second.ends;
    // A jump takes no byte, so that the other one stays where it is.
    for (const int target : first.jumps) node.jumps.push_back(number_of(target, b));
    for (const int target : second.jumps) node.jumps.push_back(number_of(a, target));
    for (const auto& [set, target] : first.bytes) {
      work_.charge(2 + second.bytes.size() * 2, kPairs);
      for (const auto& [other_set, other_target] : second.bytes) {
        const ByteSet both = set & other_set;
        if (both.any()) node.bytes.emplace_back(both, number_of(target, other_target));
      }
    }
    work_.charge(2 + (node.bytes.size() + node.jumps.size()) * 4, kPairs);
    work_.hold(2 * (node.bytes.size() * sizeof(node.bytes[0]) + node.jumps.size() * sizeof(int)), kPairs);
    return node;
  }

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

  const RuleAutomaton& a_;
  const RuleAutomaton& b_;
  CompileWork& work_;
  std::unordered_map<std::uint64_t, int> numbers_;  // of pairs of nodes
  std::vector<std::pair<int, int>> pairs_;
};

}  // namespace

RuleAutomaton intersection(const RuleAutomaton& a, const RuleAutomaton& b, CompileWork& work) {
  return Intersector(a, b, work).run();
}

}  // namespace llamajit
