#include "runtime/grammar/rules.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

// Whether its first node, or one that only jumps lead to, ends.
bool takes_empty_text(const RuleAutomaton& automaton) {
  std::vector<char> is_reached(automaton.size(), 0);
  std::vector<int> open{0};
  while (!open.empty()) {
    const auto at = static_cast<std::size_t>(open.back());
    open.pop_back();
    if (automaton[at].ends) return true;
    for (const int target : automaton[at].jumps) {
      if (std::exchange(is_reached[static_cast<std::size_t>(target)], char{1}) == 0) open.push_back(target);
    }
  }
  return false;
}

}  // namespace

std::vector<CodePointRange> complement(std::vector<CodePointRange> ranges) {
  constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF, kLast = 0x10FFFF;
  ranges.push_back({kFirstSurrogate, kLastSurrogate});
  std::ranges::sort(ranges, {}, &CodePointRange::first);
  std::vector<CodePointRange> rest;
  char32_t next = 0;
  for (const CodePointRange& range : ranges) {
    if (range.first > next) rest.push_back({next, range.first - 1});
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLast) rest.push_back({next, kLast});
  return rest;
}

PartId GrammarRules::add(Part part) {
  constexpr std::string_view kReason = "its parts";
  work_.charge(8 + part.parts.size() + part.ranges.size() + part.bytes.size() / 16, kReason);
  work_.hold(sizeof(Part) + part.bytes.size() + part.ranges.size() * sizeof(CodePointRange) +
                 part.parts.size() * sizeof(PartId),
             kReason);
  for (const PartId inner : part.parts) part.depth = std::max(part.depth, this->part(inner).depth + 1);
  if (part.depth > kMaxDepth) {
    throw std::runtime_error(
        fmt::format("{}: expected at most {} parts within one another, found more", name_, kMaxDepth));
  }
  if (parts_.size() == kMaxParts) {
    throw std::runtime_error(fmt::format("{}: expected at most {} parts, found more", name_, kMaxParts));
  }
  parts_.push_back(std::move(part));
  return static_cast<PartId>(parts_.size()) - 1;
}

PartId GrammarRules::literal(std::string_view bytes) {
  return add({.kind = PartKind::literal, .bytes = std::string(bytes)});
}

PartId GrammarRules::characters(std::vector<CodePointRange> ranges) {
  return add({.kind = PartKind::characters, .ranges = std::move(ranges)});
}

PartId GrammarRules::sequence(std::vector<PartId> parts) {
  if (parts.size() == 1) return parts.front();
  return add({.kind = PartKind::sequence, .parts = std::move(parts)});
}

PartId GrammarRules::choice(std::vector<PartId> parts) {
  if (parts.size() == 1) return parts.front();
  return add({.kind = PartKind::choice, .parts = std::move(parts)});
}

PartId GrammarRules::repeat(PartId part, int min, int max) {
  const Part& inner = this->part(part);
  if (inner.kind == PartKind::repeat) {
    const auto product = [](int a, int b) { return std::int64_t{a} * b; };
    const std::int64_t least = product(inner.min, min);
    const bool has_end = inner.max >= 0 && max >= 0;
    const std::int64_t most = has_end ? product(inner.max, max) : -1;
    // Counts of the inner part by how often the outer one comes: those of one more follow without a gap, or are the same.
    const bool is_whole = inner.max < 0
                              ? min > 0 || inner.min <= 1
                              : min == max || product(inner.min, min + 1) <= product(inner.max, min) + 1;
    const bool is_none = inner.max == 0 || max == 0;
    if (is_whole && !is_none && least <= kMaxRepetitions && most <= kMaxRepetitions) {
      return repeat(inner.parts[0], static_cast<int>(least), static_cast<int>(most));
    }
  }
  return add({.kind = PartKind::repeat, .parts = {part}, .min = min, .max = max});
}

PartId GrammarRules::call(RuleId rule) {
  return add({.kind = PartKind::rule, .rule = rule});
}

PartId GrammarRules::automaton(RuleAutomaton automaton) {
  const int min = takes_empty_text(automaton) ? 0 : 1;
  automata_.push_back(std::move(automaton));
  return add({.kind = PartKind::automaton, .min = min, .automaton = static_cast<int>(automata_.size()) - 1});
}

RuleId GrammarRules::declare(std::string name) {
  if (names_.size() == kMaxRules) {
    throw std::runtime_error(fmt::format("{}: expected at most {} rules, found more", name_, kMaxRules));
  }
  work_.hold(sizeof(std::string) + name.size(), "names of its rules");
  names_.push_back(std::move(name));
  bodies_.push_back(-1);
  return size() - 1;
}

void GrammarRules::define(RuleId rule, PartId part) {
  bodies_[static_cast<std::size_t>(rule)] = part;
}

}  // namespace llamajit
