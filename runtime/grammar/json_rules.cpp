#include "runtime/grammar/json_rules.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// What a JSON string has only by an escape.
const std::vector<CodePointRange> kEscaped{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};

std::vector<CodePointRange> without(std::vector<CodePointRange> ranges,
                                    const std::vector<CodePointRange>& others) {
  std::vector<CodePointRange> rest = complement(std::move(ranges));
  rest.insert(rest.end(), others.begin(), others.end());
  return complement(std::move(rest));
}

std::u32string code_points(std::string_view text) {
  std::u32string points;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    points += utf8_well_formed(text.substr(0, length)) > 0 ? utf8_code_point(text) : U'\uFFFD';
    text.remove_prefix(length);
  }
  return points;
}

// As JSON writes a character that it has only by an escape.
std::string escape_of(char32_t c) {
  constexpr std::string_view kLetters = "btnvfr";  // 8 to 13; JSON has no \v
  if (c == '"' || c == '\\') return {'\\', static_cast<char>(c)};
  if (c >= 8 && c <= 13 && c != 11) return {'\\', kLetters[c - 8]};
  return fmt::format("\\u{:04x}", static_cast<unsigned>(c));
}

}  // namespace

// The rule of that name, made when it is first asked for.
template <class Make>
PartId JsonRules::rule(const std::string& name, const Make& make) {
  const auto [at, is_new] = made_.try_emplace(name, -1);
  if (is_new) {
    at->second = rules_.declare(name);
    const RuleId id = at->second;
    rules_.define(id, make());
    return rules_.call(id);
  }
  return rules_.call(at->second);
}

PartId JsonRules::digits(int min, int max) {
  return rules_.repeat(rules_.characters({{'0', '9'}}), min, max);
}

PartId JsonRules::colon() {
  return rule("colon", [&] { return rules_.sequence({literal(":"), rules_.optional(literal(" "))}); });
}

PartId JsonRules::comma() {
  return rule("comma", [&] {
    return rules_.sequence({literal(","), rules_.optional(rules_.characters({{' ', ' '}, {'\n', '\n'}}))});
  });
}

PartId JsonRules::between(char open, PartId inside, char close) {
  return rules_.sequence({literal({&open, 1}), inside, literal({&close, 1})});
}

PartId JsonRules::null() {
  return literal("null");
}

PartId JsonRules::boolean() {
  return rules_.choice({literal("true"), literal("false")});
}

PartId JsonRules::integer() {
  return rule("integer", [&] {
    const PartId more = rules_.sequence({rules_.characters({{'1', '9'}}), digits(0, 17)});
    return rules_.sequence({rules_.optional(literal("-")), rules_.choice({literal("0"), more})});
  });
}

PartId JsonRules::number(int most_exponent) {
  return rule(fmt::format("number to e{}", most_exponent), [&] {
    const PartId more = rules_.sequence({rules_.characters({{'1', '9'}}), digits(0, kNumberDigits - 1)});
    const PartId fraction = rules_.sequence({literal("."), digits(1, kNumberDigits)});
    const auto from_0_to = [&](int last) {
      return rules_.characters({{'0', static_cast<char32_t>('0' + last)}});
    };
    const int tens = most_exponent / 10;
    std::vector<PartId> upwards{
        from_0_to(std::min(most_exponent, 9)),
        rules_.sequence({literal(fmt::to_string(tens)), from_0_to(most_exponent % 10)})};
    if (tens > 0) upwards.push_back(rules_.sequence({from_0_to(tens - 1), digits(1, 1)}));
    const PartId exponent = rules_.sequence(
        {rules_.characters({{'e', 'e'}, {'E', 'E'}}),
         rules_.choice({rules_.sequence({rules_.optional(literal("+")), rules_.choice(std::move(upwards))}),
                        rules_.sequence({literal("-"), digits(1, 2)})})});
    return rules_.sequence({rules_.optional(literal("-")), rules_.choice({literal("0"), more}),
                            rules_.optional(fraction), rules_.optional(exponent)});
  });
}

PartId JsonRules::raw_character() {
  return rules_.characters(complement(kEscaped));
}

PartId JsonRules::short_character() {
  return rule("short-character", [&] {
    const PartId escapes = rules_.characters(
        {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'}, {'f', 'f'}, {'n', 'n'}, {'r', 'r'}, {'t', 't'}});
    return rules_.choice({raw_character(), rules_.sequence({literal("\\"), escapes})});
  });
}

// Of surrogates, only pairs.
PartId JsonRules::character() {
  return rule("character", [&] {
    const auto set = [&](std::vector<CodePointRange> ranges) { return rules_.characters(std::move(ranges)); };
    const auto hex = [&](int n) { return rules_.repeat(set({{'0', '9'}, {'a', 'f'}, {'A', 'F'}}), n, n); };
    const PartId d = set({{'d', 'd'}, {'D', 'D'}});
    const PartId plain =
        rules_.sequence({set({{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), hex(3)});
    const PartId before_surrogates = rules_.sequence({d, set({{'0', '7'}}), hex(2)});
    const PartId pair = rules_.sequence({d, set({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex(2), literal("\\u"),
                                         d, set({{'c', 'f'}, {'C', 'F'}}), hex(2)});
    const PartId by_number =
        rules_.sequence({literal("\\u"), rules_.choice({plain, before_surrogates, pair})});
    return rules_.choice({short_character(), by_number});
  });
}

PartId JsonRules::character_of(const std::vector<CodePointRange>& ranges) {
  rules_.work().charge(32 + ranges.size() * 4, "characters that JSON escapes");
  std::vector<PartId> ways;
  std::vector<CodePointRange> raw = without(ranges, kEscaped);
  if (!raw.empty()) ways.push_back(rules_.characters(std::move(raw)));
  for (const CodePointRange& escaped : kEscaped) {
    for (char32_t c = escaped.first; c <= escaped.last; ++c) {
      if (std::ranges::any_of(ranges, [c](const auto& r) { return r.first <= c && c <= r.last; })) {
        ways.push_back(literal(escape_of(c)));
      }
    }
  }
  return rules_.choice(std::move(ways));
}

PartId JsonRules::string() {
  return rule("string", [&] { return between('"', rules_.repeat(character(), 0, -1), '"'); });
}

PartId JsonRules::string_of(const std::string& name, const std::function<PartId()>& make) {
  return rule("string of " + name, [&] { return between('"', make(), '"'); });
}

std::optional<PartId> JsonRules::text_of(const std::string& name,
                                         const std::function<RuleAutomaton()>& make) {
  const std::string rule_name = "text of " + name;
  RuleAutomaton automaton;
  if (!made_.contains(rule_name)) {
    automaton = make();
    if (automaton.empty()) return std::nullopt;
  }
  return rule(rule_name, [&] { return rules_.automaton(std::move(automaton)); });
}

PartId JsonRules::value() {
  return rule("value", [&] {
    return rules_.choice({object(), array(), string(), number(), boolean(), null()});
  });
}

PartId JsonRules::array() {
  return rule("array", [&] {
    const PartId more = rules_.repeat(rules_.sequence({comma(), value()}), 0, -1);
    return between('[', rules_.optional(rules_.sequence({value(), more})), ']');
  });
}

PartId JsonRules::object() {
  return rule("object", [&] {
    const PartId member = rules_.sequence({string(), colon(), value()});
    const PartId more = rules_.repeat(rules_.sequence({comma(), member}), 0, -1);
    return between('{', rules_.optional(rules_.sequence({member, more})), '}');
  });
}

// A tree of the names, of which each node is a rule: a key leaves it where it has another character than any name, or
// ends where none does.
PartId JsonRules::key_other_than(const std::vector<std::string>& names) {
  struct Node {
    RuleId rule;
    std::vector<std::u32string_view> rests;  // of the names that led here
  };
  const auto declare = [&] { return rules_.declare(fmt::format("other-key-{}", rules_.size())); };
  const PartId anything = rules_.repeat(raw_character(), 0, -1);
  std::vector<std::u32string> points;
  points.reserve(names.size());
  for (const std::string& name : names) points.push_back(code_points(name));
  std::vector<Node> open{{declare(), {points.begin(), points.end()}}};
  const PartId key = between('"', rules_.call(open[0].rule), '"');
  while (!open.empty()) {
    const Node node = std::move(open.back());
    open.pop_back();
    rules_.work().charge(16 + node.rests.size() * 4, "keys that are none of the declared");
    std::map<char32_t, std::vector<std::u32string_view>> next;
    bool is_name = false;
    for (const std::u32string_view rest : node.rests) {
      is_name = is_name || rest.empty();
      if (!rest.empty()) next[rest[0]].push_back(rest.substr(1));
    }
    std::vector<PartId> ways;
    if (!is_name) ways.push_back(literal(""));
    std::vector<CodePointRange> others = kEscaped;
    for (auto& [c, rests] : next) {
      others.push_back({c, c});
      const bool is_escaped = c <= 0x1F || c == '"' || c == '\\';  // no key without escapes goes this way
      if (is_escaped) continue;
      const RuleId rule = declare();
      ways.push_back(rules_.sequence({rules_.characters({{c, c}}), rules_.call(rule)}));
      open.push_back({rule, std::move(rests)});
    }
    ways.push_back(rules_.sequence({rules_.characters(complement(std::move(others))), anything}));
    rules_.define(node.rule, rules_.choice(std::move(ways)));
  }
  return key;
}

}  // namespace llamajit
