// JSON's own grammar (RFC 8259), as rules that others are made with. A text is compact: behind a colon may stand one
// space, behind a comma one space or newline, and there is no other white space; so it can't go on with nothing else.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/grammar/rules.h"

namespace llamajit {

class JsonRules {
 public:
  explicit JsonRules(GrammarRules& rules) : rules_(rules) {}

  GrammarRules& rules() { return rules_; }

  PartId value();   // any
  PartId object();  // any
  PartId array();   // any
  PartId string();  // any
  // What `make` makes, in quotation marks: a rule for each name, so that its positions are those of one string wherever
  // it stands.
  PartId string_of(const std::string& name, const std::function<PartId()>& make);
  // A text of the automaton that `make` makes, which calls no rules: one rule for each name. Nothing where there is none.
  std::optional<PartId> text_of(const std::string& name, const std::function<RuleAutomaton()>& make);
  static constexpr int kNumberDigits = 16;
  static constexpr int kMostExponent = 99;
  // Of 16 digits, 16 behind the point and an exponent of two digits at most, up to `most_exponent`: no double overflows.
  PartId number(int most_exponent = kMostExponent);
  PartId integer();  // of 18 digits at most
  PartId boolean();
  PartId null();

  PartId colon();
  PartId comma();
  PartId between(char open, PartId inside, char close);
  PartId literal(std::string_view bytes) { return rules_.literal(bytes); }
  PartId digits(int min, int max);

  // One code point within a string, as itself or by an escape; by \uXXXX only in character().
  PartId character();
  PartId short_character();
  // Of the ranges alone: as itself, or by an escape where JSON wants one.
  PartId character_of(const std::vector<CodePointRange>& ranges);
  // A key that is written without escapes and is none of `names` (UTF-8), with its quotation marks.
  PartId key_other_than(const std::vector<std::string>& names);

 private:
  template <class Make>
  PartId rule(const std::string& name, const Make& make);
  PartId raw_character();

  GrammarRules& rules_;
  std::map<std::string, RuleId> made_;
};

}  // namespace llamajit
