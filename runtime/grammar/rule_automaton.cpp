#include "runtime/grammar/rule_automaton.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "runtime/grammar/utf8_ranges.h"

namespace llamajit {
namespace {

// A rule with more parts than this stays one of its own, so that what follows from its nodes is found out once.
constexpr int kMostInlined = 24;
constexpr int kNotInlined = kMostInlined + 1;
constexpr int kMaxInlinedDepth = 8;
constexpr std::string_view kWrittenOut = "its repetitions and classes, written out";

}  // namespace

AutomatonBuilder::AutomatonBuilder(GrammarRules& rules) : rules_(rules) {
  for (RuleId rule = 0; rule < rules.size(); ++rule) {
    inlined_.push_back(inlined_size(rules.body(rule), 0) <= kMostInlined ? 1 : 0);
  }
}

AutomatonBuilder::AutomatonBuilder(GrammarRules& rules, AllInlined /*tag*/)
    : rules_(rules), inlined_(static_cast<std::size_t>(rules.size()), 1) {}

RuleAutomaton AutomatonBuilder::written_out(GrammarRules& rules, PartId part) {
  return determinized(AutomatonBuilder(rules, AllInlined()).build_body(part), rules.work());
}

// How many steps a part takes, or kNotInlined for many, for loops and for what may be recursive. Nothing is free, not even
// the empty text: so no more than some 200 parts are looked at.
int AutomatonBuilder::inlined_size(PartId id, int depth) const {
  const Part& part = rules_.part(id);
  if (depth > kMaxInlinedDepth) return kNotInlined;
  switch (part.kind) {
    case PartKind::literal:
      return static_cast<int>(std::clamp<std::size_t>(part.bytes.size(), 1, kNotInlined));
    case PartKind::characters:
      return 1;
    case PartKind::rule:
      return inlined_size(rules_.body(part.rule), depth + 1);
    case PartKind::repeat: {
      if (part.max < 0 || part.max > kMostInlined) return kNotInlined;
      return std::clamp(inlined_size(part.parts[0], depth + 1) * part.max, 1, kNotInlined);
    }
    case PartKind::automaton:
      return kNotInlined;
    case PartKind::sequence:
    case PartKind::choice:
      break;
  }
  int size = 0;
  for (const PartId inner : part.parts) {
    size += inlined_size(inner, depth + 1);
    if (size > kMostInlined) return kNotInlined;
  }
  return std::max(size, 1);
}

RuleAutomaton AutomatonBuilder::build(RuleId rule) {
  return build_body(rules_.body(rule));
}

RuleAutomaton AutomatonBuilder::build_body(PartId body) {
  nodes_.clear();
  const int begin = add_node(), end = add_node();
  nodes_[static_cast<std::size_t>(end)].ends = true;
  build_part(body, begin, end);
  nodes_before_ += nodes_.size();
  return std::move(nodes_);
}

int AutomatonBuilder::add_node() {
  if (nodes_before_ + nodes_.size() == kMaxNodes) {
    throw std::runtime_error(
        fmt::format("{}: expected at most {} positions with its repetitions written out, found more",
                    rules_.name(), kMaxNodes));
  }
  rules_.work().charge(6, kWrittenOut);
  rules_.work().hold(sizeof(RuleNode), kWrittenOut);
  nodes_.emplace_back();
  return static_cast<int>(nodes_.size()) - 1;
}

void AutomatonBuilder::count_edge() {
  rules_.work().charge(4, kWrittenOut);
  rules_.work().hold(sizeof(std::pair<ByteSet, int>), kWrittenOut);
}

// Never adds an edge to `from` or one that leaves `to`, so that parts can be put side by side and in a row.
void AutomatonBuilder::build_part(PartId id, int from, int to) {
  count_edge();  // most parts add one at least
  const Part& part = rules_.part(id);
  const auto node = [&](int n) -> RuleNode& { return nodes_[static_cast<std::size_t>(n)]; };
  switch (part.kind) {
    case PartKind::literal:
      for (std::size_t i = 0; i < part.bytes.size(); ++i) {
        count_edge();
        const int next = i + 1 == part.bytes.size() ? to : add_node();
        node(from).bytes.emplace_back(ByteSet().set(static_cast<std::uint8_t>(part.bytes[i])), next);
        from = next;
      }
      if (part.bytes.empty()) node(from).jumps.push_back(to);
      return;
    case PartKind::characters:
      return build_characters(part, from, to);
    case PartKind::sequence:
      for (std::size_t i = 0; i < part.parts.size(); ++i) {
        const int next = i + 1 == part.parts.size() ? to : add_node();
        build_part(part.parts[i], from, next);
        from = next;
      }
      if (part.parts.empty()) node(from).jumps.push_back(to);
      return;
    case PartKind::choice:
      for (const PartId alternative : part.parts) build_part(alternative, from, to);
      return;
    case PartKind::repeat:
      return build_repeat(part, from, to);
    case PartKind::rule:
      if (inlined_[static_cast<std::size_t>(part.rule)] != 0) {
        return build_part(rules_.body(part.rule), from, to);
      }
      node(from).calls.emplace_back(part.rule, to);
      return;
    case PartKind::automaton:
      return copy_automaton(rules_.automaton_of(part), from, to);
  }
}

// Sequences that go on alike share their nodes.
void AutomatonBuilder::build_characters(const Part& part, int from, int to) {
  std::map<std::tuple<int, int, int>, int> nodes;  // by a byte's range and where it leads
  std::map<std::pair<int, int>, ByteSet> firsts;   // of `from`, by where they lead
  for (const CodePointRange& range : part.ranges) {
    rules_.work().charge(8, kWrittenOut);
    for (const Utf8Sequence& sequence : utf8_sequences(range)) {
      rules_.work().charge(8, kWrittenOut);
      int target = to;
      for (int i = sequence.length - 1; i > 0; --i) {
        const ByteRange bytes = sequence.bytes.at(static_cast<std::size_t>(i));
        const auto [at, is_new] = nodes.try_emplace({bytes.first, bytes.last, target}, 0);
        if (is_new) {
          const int node = add_node();
          count_edge();
          at->second = node;
          ByteSet set;
          for (unsigned b = bytes.first; b <= bytes.last; ++b) set.set(b);
          nodes_[static_cast<std::size_t>(node)].bytes.emplace_back(set, target);
        }
        target = at->second;
      }
      ByteSet& set = firsts[{sequence.length, target}];
      for (unsigned b = sequence.bytes[0].first; b <= sequence.bytes[0].last; ++b) set.set(b);
    }
  }
  for (const auto& [key, set] : firsts) {
    count_edge();
    nodes_[static_cast<std::size_t>(from)].bytes.emplace_back(set, key.second);
  }
}

void AutomatonBuilder::build_repeat(const Part& part, int from, int to) {
  const auto jump = [&](int source, int target) {
    count_edge();
    nodes_[static_cast<std::size_t>(source)].jumps.push_back(target);
  };
  const auto once_more = [&] {
    const int next = add_node();
    build_part(part.parts[0], from, next);
    from = next;
  };
  for (int i = 0; i < part.min; ++i) once_more();
  if (part.max < 0) {
    const int loop = add_node(), behind = add_node();
    jump(from, loop);
    build_part(part.parts[0], loop, behind);
    jump(behind, loop);
    jump(loop, to);
    return;
  }
  for (int i = part.min; i < part.max; ++i) {
    jump(from, to);
    once_more();
  }
  jump(from, to);
}

void AutomatonBuilder::copy_automaton(const RuleAutomaton& automaton, int from, int to) {
  const auto first = static_cast<int>(nodes_.size());
  for (std::size_t i = 0; i < automaton.size(); ++i) add_node();
  count_edge();
  nodes_[static_cast<std::size_t>(from)].jumps.push_back(first);
  for (std::size_t i = 0; i < automaton.size(); ++i) {
    RuleNode& copy = nodes_[static_cast<std::size_t>(first) + i];
    for (const auto& [set, target] : automaton[i].bytes) {
      count_edge();
      copy.bytes.emplace_back(set, first + target);
    }
    for (const int target : automaton[i].jumps) {
      count_edge();
      copy.jumps.push_back(first + target);
    }
    if (!automaton[i].ends) continue;
    count_edge();
    copy.jumps.push_back(to);
  }
}

}  // namespace llamajit
