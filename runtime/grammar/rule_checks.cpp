// What is wrong with a grammar as a whole: rules that are missing, that begin with themselves, that never end.
#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/rules.h"

namespace llamajit {
namespace {

constexpr std::string_view kChecking = "rules that begin with themselves or never end";

[[noreturn]] void refuse(const GrammarRules& rules, RuleId rule, std::string_view expected,
                         std::string_view found) {
  throw std::runtime_error(fmt::format("{}: rule '{}': expected {}, found {}", rules.name(),
                                       rules.rule_name(rule), expected, found));
}

// For each rule whether `is_true` of its body; a rule's truth may make others' true, until none changes. Rules are walked
// to and fro, since they mostly name those behind them or those before.
template <class IsTrue>
std::vector<char> settle(GrammarRules& rules, const IsTrue& is_true) {
  std::vector<char> known(static_cast<std::size_t>(rules.size()), 0);
  bool changed = true;
  const auto look_at = [&](RuleId rule) {
    rules.work().charge(1, kChecking);
    auto& is_known = known[static_cast<std::size_t>(rule)];
    if (is_known != 0 || !is_true(known, rules.body(rule))) return;
    is_known = 1;
    changed = true;
  };
  while (changed) {
    changed = false;
    for (RuleId rule = rules.size() - 1; rule >= 0; --rule) look_at(rule);
    for (RuleId rule = 0; rule < rules.size(); ++rule) look_at(rule);
  }
  return known;
}

// What is true of a sequence where it is of all its parts, of a choice where it is of one, and of what may be left out.
// `of_text` says it of literals, classes and automata; of rules it is known as far as it has come.
template <class OfText>
bool holds(GrammarRules& rules, const std::vector<char>& known, PartId id, const OfText& of_text) {
  rules.work().charge(1, kChecking);
  const Part& part = rules.part(id);
  const auto inner = [&](PartId p) { return holds(rules, known, p, of_text); };
  switch (part.kind) {
    case PartKind::literal:
    case PartKind::characters:
    case PartKind::automaton:
      return of_text(part);
    case PartKind::sequence:
      return std::ranges::all_of(part.parts, inner);
    case PartKind::choice:
      return std::ranges::any_of(part.parts, inner);
    case PartKind::repeat:
      return part.min == 0 || inner(part.parts[0]);
    case PartKind::rule:
      return known[static_cast<std::size_t>(part.rule)] != 0;
  }
  return false;
}

// Whether the part may be the empty text.
bool may_be_empty(GrammarRules& rules, const std::vector<char>& empty, PartId id) {
  const auto is_empty = [](const Part& part) {
    return part.kind == PartKind::automaton ? part.min == 0
                                            : part.kind == PartKind::literal && part.bytes.empty();
  };
  return holds(rules, empty, id, is_empty);
}

// Whether there is a text that the part ends with.
bool can_end(GrammarRules& rules, const std::vector<char>& ending, PartId id) {
  return holds(rules, ending, id, [](const Part&) { return true; });
}

// A rule without an end that keeps a part from ending.
RuleId rule_without_end(GrammarRules& rules, const std::vector<char>& ending, PartId id) {
  const Part& part = rules.part(id);
  if (part.kind == PartKind::rule) return part.rule;
  const auto inner = std::ranges::find_if(part.parts, [&](PartId p) { return !can_end(rules, ending, p); });
  return rule_without_end(rules, ending, *inner);
}

// The rules with which a part may begin.
void collect_first(GrammarRules& rules, const std::vector<char>& empty, PartId id,
                   std::vector<RuleId>& first) {
  rules.work().charge(1, kChecking);
  const Part& part = rules.part(id);
  if (part.kind == PartKind::rule) first.push_back(part.rule);
  for (const PartId inner : part.parts) {
    collect_first(rules, empty, inner, first);
    if (part.kind == PartKind::sequence && !may_be_empty(rules, empty, inner)) break;
  }
}

void check_defined(const GrammarRules& rules) {
  for (RuleId rule = 0; rule < rules.size(); ++rule) {
    if (!rules.is_defined(rule)) refuse(rules, rule, "its definition", "none");
  }
}

void check_left_recursion(GrammarRules& rules) {
  const auto empty = settle(
      rules, [&](const std::vector<char>& known, PartId body) { return may_be_empty(rules, known, body); });
  const auto size = static_cast<std::size_t>(rules.size());
  std::vector<std::vector<RuleId>> first(size);
  for (std::size_t r = 0; r < size; ++r) {
    collect_first(rules, empty, rules.body(static_cast<RuleId>(r)), first[r]);
  }
  // Depth first, without recursion: a rule that is met while it is open begins with itself.
  enum : char { unseen, open, done };
  std::vector<char> seen(size, unseen);
  struct Visit {
    std::size_t rule;
    std::size_t next = 0;
  };
  for (std::size_t root = 0; root < size; ++root) {
    if (seen[root] != unseen) continue;
    std::vector<Visit> path{{root}};
    seen[root] = open;
    while (!path.empty()) {
      Visit& visit = path.back();
      if (visit.next == first[visit.rule].size()) {
        seen[visit.rule] = done;
        path.pop_back();
        continue;
      }
      const RuleId next = first[visit.rule][visit.next++];
      char& state = seen[static_cast<std::size_t>(next)];
      if (state == open) refuse(rules, next, "something before it comes again", "left recursion");
      if (state == unseen) {
        state = open;
        path.push_back({static_cast<std::size_t>(next)});
      }
    }
  }
}

void check_ends(GrammarRules& rules) {
  const auto ending =
      settle(rules, [&](const std::vector<char>& known, PartId body) { return can_end(rules, known, body); });
  const auto first = std::ranges::find(ending, char{0});
  if (first == ending.end()) return;
  // From rule to rule that is needed, until one comes again: that one needs itself.
  std::vector<char> seen(ending.size(), 0);
  auto rule = static_cast<RuleId>(first - ending.begin());
  while (std::exchange(seen[static_cast<std::size_t>(rule)], char{1}) == 0) {
    rule = rule_without_end(rules, ending, rules.body(rule));
  }
  refuse(rules, rule, "a text that it ends with", "none");
}

}  // namespace

void check_rules(GrammarRules& rules) {
  check_defined(rules);
  check_left_recursion(rules);
  check_ends(rules);
}

}  // namespace llamajit
