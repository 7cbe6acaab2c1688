#include "runtime/grammar/pattern.h"

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/rule_automaton.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using Ranges = std::vector<CodePointRange>;

constexpr int kMaxGroups = 100;
constexpr int kMaxQuantity = 10'000;

const Ranges kDigits{{'0', '9'}};
const Ranges kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace{{'\t', '\r'}, {' ', ' '}};
// What any engine takes for \s.
const Ranges kAnySpace{{'\t', '\r'},     {0x1C, ' '},      {0x85, 0x85},     {0xA0, 0xA0},
                       {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                       {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const Ranges kLineFeed{{'\n', '\n'}};  // the only one that no engine's `.` takes
const Ranges kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
constexpr char32_t kLastAscii = 0x7E;

// Characters that are none of these, of printable ASCII alone: on others the engines' opinions differ.
Ranges ascii_without(Ranges ranges) {
  ranges.push_back({0, 0x1F});
  ranges.push_back({kLastAscii + 1, 0x10FFFF});
  return complement(std::move(ranges));
}

// The characters of \d, \D and their like: where a text is to have them, those for which engines agree; where it is to have
// none of them, all that are such for any.
Ranges class_of(char letter, bool is_excluded) {
  switch (letter) {
    case 'd':
      return kDigits;
    case 'w':
      return kWord;
    case 's':
      return is_excluded ? kAnySpace : kSpace;
    case 'D':
      return is_excluded ? complement(kDigits) : ascii_without(kDigits);
    case 'W':
      return is_excluded ? complement(kWord) : ascii_without(kWord);
    default:  // S
      return is_excluded ? complement(kSpace) : ascii_without(kSpace);
  }
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class PatternParser {
 public:
  PatternParser(JsonRules& json, std::string_view text)
      : json_(json),
        rules_(json.rules()),
        text_(text),
        may_look_ahead_(text.find("(?=") != std::string_view::npos ||
                        text.find("(?!") != std::string_view::npos) {}

  PartId parse() {
    std::vector<PartId> ways;
    do {
      const PartId before = take('^') ? rules_.literal("") : anything();
      ways.push_back(rules_.sequence({before, sequence(Ends::text)}));
    } while (take('|'));
    if (!at_end()) fail("the pattern's end");
    return rules_.choice(std::move(ways));
  }

 private:
  [[noreturn]] void fail(std::string_view expected) const {
    const std::string found =
        at_end() ? "the end"
                 : fmt::format("'{}'", escaped(text_.substr(at_, utf8_length(text_.substr(at_)))));
    throw PatternError(fmt::format("column {}: expected {}, found {}", at_ + 1, expected, found));
  }
  bool at_end() const { return at_ == text_.size(); }
  bool is(char c) const { return !at_end() && text_[at_] == c; }
  bool take(char c) {
    if (!is(c)) return false;
    ++at_;
    return true;
  }

  // What a sequence's end is: that of its group, or the text's, where `$` says so or anything may follow.
  enum class Ends : bool { group, text };

  // In a pattern that looks ahead each character is written in one way only, so that none is taken for another one.
  PartId anything() {
    return rules_.repeat(may_look_ahead_ ? json_.character_of({{0, 0x10FFFF}}) : json_.character(), 0, -1);
  }

  PartId alternatives(Ends end) {
    std::vector<PartId> ways;
    bool looks_ahead = false;
    do {
      looks_ahead_ = false;
      ways.push_back(sequence(end));
      looks_ahead = looks_ahead || looks_ahead_;
    } while (take('|'));
    looks_ahead_ = looks_ahead;
    return rules_.choice(std::move(ways));
  }

  PartId sequence(Ends end) {
    std::vector<PartId> parts;
    while (!at_end() && !is('|') && !is(')') && !is('$')) {
      if (text_.substr(at_).starts_with("(?=") || text_.substr(at_).starts_with("(?!")) {
        parts.push_back(looking_ahead(end));
        return rules_.sequence(std::move(parts));
      }
      looks_ahead_ = false;
      const PartId part = item();
      parts.push_back(quantified(part));
      if (looks_ahead_) check_last(end);
    }
    if (end == Ends::text && !take('$')) parts.push_back(anything());
    return rules_.sequence(std::move(parts));
  }

  // What follows (?=…) or (?!…) up to the end, of which each text must begin, or not begin, as these say.
  PartId looking_ahead(Ends end) {
    if (++lookaheads_ > kMaxGroups) fail(fmt::format("at most {} times looking ahead", kMaxGroups));
    const bool is_wanted = text_[at_ + 2] == '=';
    const std::size_t begin = at_;
    at_ += 3;
    is_excluded_ = is_excluded_ == is_wanted;
    const PartId ahead = nested([&] { return alternatives(Ends::text); });
    is_excluded_ = is_excluded_ == is_wanted;
    const PartId rest = sequence(end);
    looks_ahead_ = true;
    const auto written_out = [&](PartId part) { return AutomatonBuilder::written_out(rules_, part); };
    RuleAutomaton both = is_wanted ? intersection(written_out(rest), written_out(ahead), rules_.work())
                                   : difference(written_out(rest), written_out(ahead), rules_.work());
    if (both.empty()) {
      at_ = begin;
      fail("what a text that follows can be");
    }
    return rules_.automaton(std::move(both));
  }

  // A group that looks ahead sees all the text: so nothing may stand behind it and those that it is in.
  void check_last(Ends end) {
    if (end == Ends::text ? is('$') : is(')') || is('|')) return;
    fail("the pattern's end with its '$' behind a group that looks ahead");
  }

  PartId item() {
    if (is('(')) return group();
    if (is('[')) return json_.character_of(character_class());
    if (take('.')) return json_.character_of(complement(is_excluded_ ? kLineFeed : kLineEnds));
    if (is('\\')) return json_.character_of(escape());
    if (is('^')) fail("'^' at the beginning alone");
    if (is('*') || is('+') || is('?') || is('{') || is('}') || is(']'))
      fail("a character, a class or a group");
    return json_.character_of(one_plain());
  }

  PartId group() {
    ++at_;
    if (take('?')) take_kind();
    return nested([&] { return alternatives(Ends::group); });
  }

  // Behind `(?`: a group's name says nothing of its texts.
  void take_kind() {
    if (take(':')) return;
    const std::size_t end = text_.find('>', at_);
    if (!is('<') || end == std::string_view::npos || !is_name(text_.substr(at_ + 1, end - at_ - 1)))
      fail("':', '=', '!' or a name of letters, as there is no looking behind");
    ++at_;
    const std::string_view name = text_.substr(at_, end - at_);
    if (std::ranges::count(names_, name) > 0) fail("a name of no other group");
    names_.push_back(name);
    rules_.work().charge(names_.size(), "names of groups");
    at_ = end + 1;
  }

  static bool is_name(std::string_view text) {
    return !text.empty() && (text[0] < '0' || text[0] > '9') &&
           std::ranges::all_of(text, [](char c) { return is_letter_or_digit(c) || c == '_' || c == '$'; });
  }

  // What stands in parentheses, of which the first is taken.
  template <class Inside>
  PartId nested(const Inside& inside) {
    if (groups_ == kMaxGroups) fail(fmt::format("at most {} groups within one another", kMaxGroups));
    ++groups_;
    const PartId part = inside();
    if (!take(')')) fail(is('$') ? "'$' at the end alone" : "')'");
    --groups_;
    return part;
  }

  // A code point as it stands.
  Ranges one_plain() {
    const std::string_view rest = text_.substr(at_, 4);
    if (utf8_well_formed(rest) == 0) fail("UTF-8");
    at_ += utf8_length(rest);
    const char32_t c = utf8_code_point(rest);
    return {{c, c}};
  }

  Ranges escape() {
    ++at_;
    if (at_end()) fail("an escape's letter");
    const char letter = text_[at_];
    const auto one = [&](char32_t c) {
      ++at_;
      return Ranges{{c, c}};
    };
    switch (letter) {
      case 'd':
      case 'w':
      case 's':
      case 'D':
      case 'W':
      case 'S':
        ++at_;
        return class_of(letter, is_excluded_);
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'x':
        return hex(2);
      case 'u':
        return hex(4);
      default:
        if (is_letter_or_digit(letter) || static_cast<unsigned char>(letter) >= 0x80) {
          fail(R"(one of the escapes \d \w \s \t \n \r \f \v \0 \x \u, or of punctuation)");
        }
        return one(static_cast<char32_t>(letter));
    }
  }

  Ranges hex(int digits) {
    ++at_;
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      constexpr std::string_view kHex = "0123456789abcdef";
      const char c =
          at_end() ? ' ' : static_cast<char>(text_[at_] | (is_letter_or_digit(text_[at_]) ? 0x20 : 0));
      const std::size_t digit = kHex.find(c);
      if (digit == std::string_view::npos) fail(fmt::format("{} hexadecimal digits", digits));
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value >= 0xD800 && value <= 0xDFFF) fail("a code point that is no surrogate before here");
    return {{value, value}};
  }

  Ranges character_class() {
    ++at_;
    const bool is_negated = take('^');
    is_excluded_ = is_excluded_ != is_negated;
    Ranges ranges;
    while (!is(']')) {
      if (at_end()) fail("']'");
      Ranges first = class_item();
      const bool is_range = is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
      if (is_range) {
        ++at_;
        const Ranges last = class_item();
        const auto is_one = [](const Ranges& r) { return r.size() == 1 && r[0].first == r[0].last; };
        if (!is_one(first) || !is_one(last) || last[0].last < first[0].first)
          fail("a range that ascends before here");
        first[0].last = last[0].last;
      }
      ranges.insert(ranges.end(), first.begin(), first.end());
    }
    ++at_;
    is_excluded_ = is_excluded_ != is_negated;
    if (is_negated) ranges = complement(std::move(ranges));
    if (ranges.empty()) fail("a class of one character at least before here");
    return ranges;
  }

  Ranges class_item() {
    if (!is('\\')) return one_plain();
    if (at_ + 1 < text_.size() && text_[at_ + 1] == 'b') {  // a backspace, in a class
      at_ += 2;
      return {{'\b', '\b'}};
    }
    return escape();
  }

  PartId quantified(PartId part) {
    int min = 1, max = 1;
    if (take('*')) {
      min = 0, max = -1;
    } else if (take('+')) {
      max = -1;
    } else if (take('?')) {
      min = 0;
    } else if (is('{')) {
      std::tie(min, max) = braces();
    } else {
      return part;
    }
    take('?');  // lazy: the same texts
    if (looks_ahead_ && max != 1) fail("no repetition before here of a group that looks ahead");
    if (is('*') || is('+') || is('?') || is('{')) fail("one quantifier");
    return rules_.repeat(part, min, max);
  }

  std::pair<int, int> braces() {
    ++at_;
    const int min = count();
    int max = min;
    if (take(',')) max = is('}') ? -1 : count();
    if (!take('}')) fail("'}'");
    if (max >= 0 && max < min) fail(fmt::format("at least {} before here", min));
    return {min, max};
  }

  int count() {
    int value = 0;
    if (at_end() || text_[at_] < '0' || text_[at_] > '9') fail("a number");
    for (; !at_end() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + (text_[at_] - '0');
      if (value > kMaxQuantity) fail(fmt::format("at most {} repetitions", kMaxQuantity));
    }
    return value;
  }

  JsonRules& json_;
  GrammarRules& rules_;
  std::string_view text_;
  bool may_look_ahead_;
  std::size_t at_ = 0;
  int groups_ = 0;            // that are open
  int lookaheads_ = 0;        // that there have been: each is read within the one before it
  bool is_excluded_ = false;  // what is read is what a text is not to have
  std::vector<std::string_view> names_;
  bool looks_ahead_ = false;  // the part that was read last
};

}  // namespace

PartId json_pattern(JsonRules& json, std::string_view pattern) {
  return PatternParser(json, pattern).parse();
}

}  // namespace llamajit
