#include "runtime/grammar/json_lists.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

namespace llamajit {

// Built from the end: what may come behind the first, behind the second, …
PartId items_of_list(JsonRules& json, std::vector<PartId> first, PartId more, int min, int max) {
  GrammarRules& rules = json.rules();
  if (first.empty()) first.push_back(more);
  const auto listed = static_cast<int>(first.size());
  PartId rest = rules.literal("");
  if (max < 0 || max > listed) {
    rest = rules.repeat(rules.sequence({json.comma(), more}), std::max(0, min - listed),
                        max < 0 ? -1 : max - listed);
  }
  for (int i = max < 0 ? listed - 1 : std::min(listed, max) - 1; i >= 0; --i) {
    const PartId one = first[static_cast<std::size_t>(i)];
    rest = i == 0 ? rules.sequence({one, rest}) : rules.sequence({json.comma(), one, rest});
    if (i >= min) rest = rules.optional(rest);
  }
  return rest;
}

// Each member is a rule where it is written down twice: as the first, without a comma, and behind others.
PartId members_of_object(JsonRules& json, std::vector<ObjectMember> members, std::optional<PartId> other) {
  GrammarRules& rules = json.rules();
  const auto is_required = [](const ObjectMember& member) { return member.is_required; };
  const bool begins_with_first = !members.empty() && members[0].is_required;
  const auto declare = [&](PartId part) {
    const RuleId rule = rules.declare(fmt::format("members-{}", rules.size()));
    rules.define(rule, part);
    return rules.call(rule);
  };
  if (!begins_with_first) {
    for (ObjectMember& member : members) member.member = declare(member.member);
    if (other) other = declare(*other);
  }
  const auto behind_comma = [&](PartId part) { return rules.sequence({json.comma(), part}); };
  // What may come behind the last, behind the one before, …
  PartId rest = other ? rules.repeat(behind_comma(*other), 0, -1) : rules.literal("");
  std::vector<PartId> ways;  // to begin
  if (other && std::ranges::none_of(members, is_required)) ways.push_back(rules.sequence({*other, rest}));
  const auto last_first = std::ranges::find_if(members, is_required) - members.begin();
  for (auto i = static_cast<std::ptrdiff_t>(members.size()) - 1; i >= 0; --i) {
    const ObjectMember& member = members[static_cast<std::size_t>(i)];
    if (i <= last_first) ways.push_back(rules.sequence({member.member, rest}));
    const PartId behind = behind_comma(member.member);
    rest = rules.sequence({member.is_required ? behind : rules.optional(behind), rest});
    if (!begins_with_first && i > 0) rest = declare(rest);
  }
  if (std::ranges::none_of(members, is_required)) ways.push_back(rules.literal(""));
  return rules.choice(std::move(ways));
}

}  // namespace llamajit
