// A grammar as it is written: rules, and the parts that they are made of. GBNF and JSON schemas are read into this.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/grammar/compile_work.h"

namespace llamajit {

using PartId = std::int32_t;
using RuleId = std::int32_t;

// Code points from `first` to `last`, both included.
struct CodePointRange {
  char32_t first;
  char32_t last;
};

using ByteSet = std::bitset<256>;

// Where a text of bytes can stand.
struct RuleNode {
  std::vector<std::pair<ByteSet, int>> bytes{};  // and where they lead
  std::vector<std::pair<RuleId, int>> calls{};
  std::vector<int> jumps{};
  bool ends = false;
};
// The first node begins.
using RuleAutomaton = std::vector<RuleNode>;

// What is not in the ranges, of all code points that UTF-8 can write (no surrogates among them).
std::vector<CodePointRange> complement(std::vector<CodePointRange> ranges);

enum class PartKind : std::uint8_t {
  literal,     // these bytes
  characters,  // one code point of these ranges
  sequence,    // its parts, one behind the other
  choice,      // one of its parts
  repeat,      // its part, min to max times; max < 0: any number of times
  rule,        // what the rule says
  automaton,   // a text that leads through it
};

struct Part {
  PartKind kind;
  std::string bytes{};
  std::vector<CodePointRange> ranges{};
  std::vector<PartId> parts{};
  int min = 0, max = 0;
  RuleId rule = -1;
  int automaton = -1;  // of which the empty text is one where `min` is 0
  int depth = 1;       // parts inside parts
};

// Makers return the part's number. All throw std::runtime_error for a grammar that outgrows the limits below, as
// "NAME: expected at most …", or that takes more than CompileWork allows; the name is the grammar's.
class GrammarRules {
 public:
  static constexpr int kMaxDepth = 1000;
  static constexpr std::size_t kMaxParts = std::size_t{1} << 18;
  static constexpr std::size_t kMaxRules = std::size_t{1} << 14;
  static constexpr int kMaxRepetitions = 100'000;  // of one part, as repeat() makes them of several

  explicit GrammarRules(std::string name) : name_(std::move(name)), work_(name_) {}

  PartId literal(std::string_view bytes);
  PartId characters(std::vector<CodePointRange> ranges);  // one range at least
  PartId sequence(std::vector<PartId> parts);             // of none: the empty text
  PartId choice(std::vector<PartId> parts);               // one at least
  // Of a repetition that comes to the same as one alone, that one: x{1,3}{2} is x{2,6}.
  PartId repeat(PartId part, int min, int max);
  PartId optional(PartId part) { return repeat(part, 0, 1); }
  PartId call(RuleId rule);
  // One that calls no rule and has a text.
  PartId automaton(RuleAutomaton automaton);

  // A rule that is named now and defined later.
  RuleId declare(std::string name);
  void define(RuleId rule, PartId part);
  bool is_defined(RuleId rule) const { return bodies_[static_cast<std::size_t>(rule)] >= 0; }

  const std::string& name() const { return name_; }
  // What has been done for this grammar; whoever goes on with it counts here, too.
  CompileWork& work() { return work_; }
  RuleId size() const { return static_cast<RuleId>(names_.size()); }
  const std::string& rule_name(RuleId rule) const { return names_[static_cast<std::size_t>(rule)]; }
  PartId body(RuleId rule) const { return bodies_[static_cast<std::size_t>(rule)]; }
  const Part& part(PartId part) const { return parts_[static_cast<std::size_t>(part)]; }
  const RuleAutomaton& automaton_of(const Part& part) const {
    return automata_[static_cast<std::size_t>(part.automaton)];
  }

 private:
  PartId add(Part part);

  std::string name_;
  CompileWork work_;
  std::vector<Part> parts_;
  std::vector<RuleAutomaton> automata_;
  std::vector<std::string> names_;
  std::vector<PartId> bodies_;  // -1: not defined yet
};

// Throws std::runtime_error that names a rule which is used and not defined, which begins with itself (left recursion,
// directly or through others), or which no text ends.
void check_rules(GrammarRules& rules);

}  // namespace llamajit
