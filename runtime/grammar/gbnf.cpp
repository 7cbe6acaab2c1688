#include "runtime/grammar/gbnf.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 20;
constexpr int kMaxGroupNesting = 200;
constexpr int kMaxRepetitions = 100'000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

class GbnfParser {
 public:
  GbnfParser(std::string_view text, const std::string& name) : text_(text), rules_(name) {}

  std::shared_ptr<const Grammar> parse() {
    if (text_.size() > kMaxText) {
      throw std::runtime_error(
          fmt::format("{}: expected at most {} bytes, found {}", rules_.name(), kMaxText, text_.size()));
    }
    skip_blanks(true);
    while (!at_end()) {
      rule();
      skip_blanks(true);
    }
    const auto root = ids_.find("root");
    if (root == ids_.end()) {
      throw std::runtime_error(fmt::format("{}: expected a rule 'root', found none", rules_.name()));
    }
    return compile_grammar(rules_, root->second);
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const { fail_at(at_, expected, here()); }
  [[noreturn]] void fail_at(std::size_t at, std::string_view expected, std::string_view found) const {
    const std::string_view before = text_.substr(0, at);
    const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
    throw std::runtime_error(fmt::format("{}: line {}, column {}: expected {}, found {}", rules_.name(),
                                         std::ranges::count(before, '\n') + 1, at - line_begin + 1, expected,
                                         found));
  }
  // What stands at the place that is read, for an error.
  std::string here() const {
    if (at_end()) return "the end";
    if (text_[at_] == '\n' || text_[at_] == '\r') return "the line's end";
    return fmt::format("'{}'", escaped(text_.substr(at_, utf8_length(text_.substr(at_)))));
  }

  bool at_end() const { return at_ == text_.size(); }
  bool is(char c) const { return !at_end() && text_[at_] == c; }
  bool take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  // With `lines`, ends of lines are blanks, too.
  void skip_blanks(bool lines) {
    while (!at_end()) {
      if (is('#')) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (is(' ') || is('\t') || (lines && (is('\n') || is('\r')))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (!at_end() && is_name_character(text_[at_])) ++at_;
    if (at_ == begin) fail("a rule's name");
    return text_.substr(begin, at_ - begin);
  }

  RuleId rule_id(std::string_view name) {
    const auto [at, is_new] = ids_.try_emplace(std::string(name), rules_.size());
    if (is_new) rules_.declare(at->first);
    return at->second;
  }

  void rule() {
    const std::size_t begin = at_;
    const std::string_view rule_name = name();
    const RuleId id = rule_id(rule_name);
    if (rules_.is_defined(id)) {
      fail_at(begin, fmt::format("one definition of rule '{}'", rule_name), "another");
    }
    skip_blanks(false);
    if (!take("::=")) fail("'::='");
    skip_blanks(true);
    rules_.define(id, alternatives(0));
    if (!at_end() && !is('\n') && !is('\r')) fail("the rule's end, or more of it");
  }

  PartId alternatives(int nesting) {
    std::vector<PartId> parts{sequence(nesting)};
    while (bar_follows(nesting > 0)) {
      skip_blanks(true);
      parts.push_back(sequence(nesting));
    }
    return rules_.choice(std::move(parts));
  }

  // Takes the bar, also where it begins the next line.
  bool bar_follows(bool nested) {
    const std::size_t before = at_;
    skip_blanks(true);
    if (take("|")) return true;
    if (!nested) at_ = before;
    return false;
  }

  PartId sequence(int nesting) {
    std::vector<PartId> parts;
    for (;;) {
      skip_blanks(nesting > 0);
      const std::optional<PartId> part = item(nesting);
      if (!part) break;
      parts.push_back(repetitions(*part));
    }
    return rules_.sequence(std::move(parts));
  }

  // Nothing where the sequence ends.
  std::optional<PartId> item(int nesting) {
    if (at_end()) return std::nullopt;
    if (is('"')) return literal();
    if (is('[')) return character_class();
    if (take(".")) return rules_.characters(complement({}));
    if (is('(')) return group(nesting);
    if (is_name_character(text_[at_])) return rules_.call(rule_id(name()));
    if (is('|') || is(')') || is('\n') || is('\r')) return std::nullopt;
    fail("a literal, a class, a rule's name, '(' or the rule's end");
  }

  PartId group(int nesting) {
    if (nesting == kMaxGroupNesting)
      fail(fmt::format("at most {} groups within one another", kMaxGroupNesting));
    ++at_;
    const PartId part = alternatives(nesting + 1);
    skip_blanks(true);
    if (!take(")")) fail("')'");
    return part;
  }

  PartId literal() {
    const std::size_t begin = at_++;
    std::string bytes;
    while (!is('"')) {
      if (at_end()) fail_at(begin, "the literal's end, '\"'", "none");
      append_utf8(bytes, character());
    }
    ++at_;
    return rules_.literal(bytes);
  }

  PartId character_class() {
    const std::size_t begin = at_++;
    const bool is_negated = take("^");
    std::vector<CodePointRange> ranges;
    while (!is(']')) {
      if (at_end()) fail_at(begin, "the class's end, ']'", "none");
      const std::size_t range_begin = at_;
      const char32_t first = character();
      char32_t last = first;
      if (is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = character();
      }
      if (last < first) {
        fail_at(range_begin, "a range that ascends",
                fmt::format("'{}'", text_.substr(range_begin, at_ - range_begin)));
      }
      ranges.push_back({first, last});
    }
    ++at_;
    if (is_negated) ranges = complement(std::move(ranges));
    if (ranges.empty()) fail_at(begin, "a class of one character at least", "none");
    return rules_.characters(std::move(ranges));
  }

  // One code point of a literal or a class.
  char32_t character() {
    if (!is('\\')) {
      const std::string_view rest = text_.substr(at_);
      if (utf8_well_formed(rest.substr(0, 4)) == 0) fail("UTF-8");
      at_ += utf8_length(rest);
      return utf8_code_point(rest);
    }
    const std::size_t begin = at_++;
    if (at_end()) fail("an escape's letter");
    switch (const char letter = text_[at_++]) {
      case 'n':
        return '\n';
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      case 'U':
        return hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<char32_t>(letter);
      default:
        fail_at(begin, R"(one of the escapes \n \t \r \\ \" \[ \] \- \^ \x \u \U)",
                fmt::format("'\\{}'", letter));
    }
  }

  char32_t hex(int digits) {
    const std::size_t begin = at_;
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const int digit = at_end() ? -1 : hex_value(text_[at_]);
      if (digit < 0) fail(fmt::format("{} hexadecimal digits", digits));
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail_at(begin, "a code point", fmt::format("'{}'", text_.substr(begin, at_ - begin)));
    }
    return value;
  }

  PartId repetitions(PartId part) {
    for (int nesting = 0;; ++nesting) {
      if (nesting > kMaxGroupNesting)
        fail(fmt::format("at most {} repetitions of one part", kMaxGroupNesting));
      if (take("?")) {
        part = rules_.repeat(part, 0, 1);
      } else if (take("*")) {
        part = rules_.repeat(part, 0, -1);
      } else if (take("+")) {
        part = rules_.repeat(part, 1, -1);
      } else if (is('{')) {
        part = braces(part);
      } else {
        return part;
      }
    }
  }

  PartId braces(PartId part) {
    const std::size_t begin = at_++;
    skip_blanks(false);
    const int min = is(',') ? 0 : number();
    int max = min;
    skip_blanks(false);
    if (take(",")) {
      skip_blanks(false);
      max = is('}') ? -1 : number();
      skip_blanks(false);
    }
    if (!take("}")) fail("'}'");
    if (max >= 0 && max < min) fail_at(begin, fmt::format("at least {}", min), fmt::to_string(max));
    return rules_.repeat(part, min, max);
  }

  int number() {
    const std::size_t begin = at_;
    int value = 0;
    for (; !at_end() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + (text_[at_] - '0');
      if (value > kMaxRepetitions)
        fail_at(begin, fmt::format("at most {} repetitions", kMaxRepetitions), "more");
    }
    if (at_ == begin) fail("a number");
    return value;
  }

  std::string_view text_;
  GrammarRules rules_;
  std::size_t at_ = 0;
  std::unordered_map<std::string, RuleId> ids_;
};

}  // namespace

std::shared_ptr<const Grammar> parse_gbnf(std::string_view text, const std::string& name) {
  return GbnfParser(text, name).parse();
}

}  // namespace llamajit
