#include "runtime/grammar/gbnf.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/grammar/grammar_state.h"
#include "tokenizer/utf8.h"

namespace llamajit::gbnf_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

bool is_text(const std::string& grammar, std::string_view text) {
  GrammarState state(parse_gbnf(grammar, "g"));
  return state.accept(text) && state.may_end();
}

void expect_texts(const std::string& grammar, const std::vector<std::string>& texts,
                  const std::vector<std::string>& others) {
  for (const std::string& text : texts) EXPECT_TRUE(is_text(grammar, text)) << grammar << ": " << text;
  for (const std::string& text : others) EXPECT_FALSE(is_text(grammar, text)) << grammar << ": " << text;
}

void expect_refused(const std::string& grammar, const std::vector<std::string>& parts) {
  const auto parse = [&] { parse_gbnf(grammar, "g"); };
  for (const std::string& part : parts) {
    EXPECT_THAT(parse, ThrowsMessage<std::runtime_error>(HasSubstr(part))) << grammar.substr(0, 100);
  }
}

TEST(Gbnf, LiteralsAndAlternatives) {
  expect_texts(R"(root ::= "yes" | "no" | "")", {"yes", "no", ""}, {"ye", "yesno", "maybe"});
  expect_texts(R"(root ::= "a" "b" ("c" | "d") "e")", {"abce", "abde"}, {"abe", "abcde"});
}

TEST(Gbnf, EscapesStandForCodePoints) {
  expect_texts(R"(root ::= "\n\t\r\\\"\x41\u00e9\U0001F600")", {"\n\t\r\\\"A\xC3\xA9\xF0\x9F\x98\x80"}, {});
  expect_texts(R"(root ::= "\xe9")", {"\xC3\xA9"}, {"\xE9"});
  expect_texts(R"(root ::= [\]\[\-\^\\])", {"]", "[", "-", "^", "\\"}, {"a"});
}

TEST(Gbnf, Classes) {
  expect_texts("root ::= [a-c_x-]", {"a", "b", "c", "_", "x", "-"}, {"d", "", "ab"});
  expect_texts("root ::= [^a-c\\n]", {"d", "\xC3\xA9", "\xF0\x9F\x98\x80"},
               {"a", "\n", "\xC3", "\xED\xA0\x80", "\xFF"});
  expect_texts("root ::= [가-힣]", {"가", "한", "힣"}, {"a", "ㄱ"});
  expect_texts("root ::= .", {"a", "\n", "한"}, {"", "ab"});
}

TEST(Gbnf, Repetitions) {
  expect_texts(R"(root ::= "a"? "b"* "c"+)", {"c", "ac", "bbc", "abccc"}, {"", "a", "aac"});
  expect_texts(R"(root ::= "ab"{2})", {"abab"}, {"ab", "abb", "ababab"});
  expect_texts(R"(root ::= [ab]{1,3})", {"a", "ba", "bab"}, {"", "abab"});
  expect_texts(R"(root ::= "a"{2,})", {"aa", "aaaaa"}, {"a"});
  expect_texts(R"(root ::= "a"{,2} "b"{ 0 } "c"{0,0})", {"", "a", "aa"}, {"aaa", "b", "c"});
  expect_texts(R"(root ::= ("a"? "b"?)* "c")", {"c", "abc", "bac", "bbaac"}, {"ab"});
  expect_texts(R"(root ::= "a"?{3})", {"", "a", "aaa"}, {"aaaa"});
}

TEST(Gbnf, RulesMayRecurse) {
  const std::string nested = "root ::= pair\npair ::= \"(\" pair* \")\" # comment\n";
  expect_texts(nested, {"()", "(()())", "((()))"}, {"", "(", "())", "()()"});
  // Where both might follow, both are kept.
  const std::string two = "root ::= s\ns ::= \"(\" s \")\" | \"(\" s \"]\" | \"x\"";
  expect_texts(two, {"((((x)])]", "x", "(x]"}, {"((x)", "(x))"});
  expect_texts("root ::= list\nlist ::= [0-9]+ (\",\" list)?", {"1", "1,22,333"}, {"1,", ",1"});
}

TEST(Gbnf, LinesMayBreakInParenthesesAndAfterBars) {
  expect_texts(
      "# first\n\nroot ::=\n  \"a\" |\n  # between\n  \"b\" ( # in\n \"c\"\n | \"d\" )\n  | x-1\n\r\nx-1 ::= "
      "\"e\" # end",
      {"a", "bc", "bd", "e"}, {"b"});
}

TEST(Gbnf, ErrorsNameThePlace) {
  expect_refused("root ::= \"a\n", {"g: line 1, column 10: expected the literal's end"});
  expect_refused("root ::= \"a\"\nx ::= (\"b\" | \"c\"\n",
                 {"g: line 3, column 1: expected ')', found the end"});
  expect_refused("root ::= [z-a]", {"line 1, column 11: expected a range that ascends, found 'z-a'"});
  expect_refused("root ::= [abc", {"line 1, column 10: expected the class's end"});
  expect_refused("root ::= []", {"expected a class of one character at least"});
  expect_refused(R"(root ::= "\q")", {"column 11: expected one of the escapes", "found '\\q'"});
  expect_refused(R"(root ::= "\ud800")", {"expected a code point, found 'd800'"});
  expect_refused(R"(root ::= "\x4")", {"expected 2 hexadecimal digits, found '\"'"});
  expect_refused("root = \"a\"", {"line 1, column 6: expected '::=', found '='"});
  expect_refused("root ::= \"a\" )",
                 {"line 1, column 14: expected the rule's end, or more of it, found ')'"});
  expect_refused("root ::= <think>",
                 {"expected a literal, a class, a rule's name, '(' or the rule's end, found '<'"});
  expect_refused("root ::= \"a\"{3,2}", {"expected at least 3, found 2"});
  expect_refused("root ::= \"a\"{x}", {"expected a number, found 'x'"});
  expect_refused("root ::= \"\xFF\"", {"line 1, column 11: expected UTF-8"});
  expect_refused("root ::= \"a\"\nroot ::= \"b\"",
                 {"line 2, column 1: expected one definition of rule 'root'"});
  expect_refused("a ::= \"b\"", {"g: expected a rule 'root', found none"});
  expect_refused("", {"expected a rule 'root'"});
}

TEST(Gbnf, RulesThatCannotWorkAreRefusedByName) {
  expect_refused("root ::= missing", {"g: rule 'missing': expected its definition, found none"});
  expect_refused("root ::= root \"a\" | \"b\"",
                 {"rule 'root': expected something before it comes again, found left recursion"});
  expect_refused("root ::= \"x\" a\na ::= b? a \"y\"\nb ::= \"z\"", {"rule 'a'", "left recursion"});
  expect_refused("root ::= a\na ::= b\nb ::= a \"x\" | \"y\"", {"left recursion"});
  expect_refused("root ::= \"x\" loop\nloop ::= \"a\" loop",
                 {"rule 'loop': expected a text that it ends with, found none"});
}

// Each takes little time and memory to refuse.
TEST(Gbnf, HostileGrammarsAreRefusedByTheLimit) {
  expect_refused("root ::= \"a\"{1000000}", {"expected at most 100000 repetitions"});
  expect_refused("root ::= (((\"ab\"{1000}){1000}){1000}){1000}", {"expected at most 200000 positions"});
  expect_refused("root ::= " + std::string(10'000, '('), {"expected at most 200 groups within one another"});
  expect_refused("root ::= \"a\"" + std::string(10'000, '*'),
                 {"expected at most 200 repetitions of one part"});
  expect_refused("root ::= \"" + std::string(2 << 20, 'a') + "\"", {"expected at most 1048576 bytes"});
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += fmt::format("r{} ::= \"a\"\n", i);
  expect_refused(many, {"expected at most 16384 rules"});
  std::string doubling = "root ::= r0 r0\n";
  for (int i = 0; i < 60; ++i) doubling += fmt::format("r{} ::= r{} r{}\n", i, i + 1, i + 1);
  // It says nothing in 2^60 ways; nobody waits for them.
  EXPECT_TRUE(GrammarState(parse_gbnf(doubling + "r60 ::= \"\"", "g")).is_beyond());
  std::string chain;
  for (int i = 0; i < 3000; ++i) chain += fmt::format("r{} ::= r{} \"a\" | \"b\"\n", i, i + 1);
  expect_refused("root ::= r0\n" + chain + "r3000 ::= r0", {"left recursion"});
}

TEST(Gbnf, TextsDeeperThanTheBoundGoNoFurther) {
  GrammarState state(parse_gbnf("root ::= \"(\" root \")\" | \"x\"", "g"));
  std::size_t depth = 0;
  while (state.accept('(')) ++depth;
  EXPECT_TRUE(state.is_beyond());
  EXPECT_GT(depth, 1000U);
  EXPECT_FALSE(state.accept(')'));
  EXPECT_FALSE(state.may_end());
}

// What subset construction would take 2^30 nodes for stays as it is.
TEST(Gbnf, AmbiguousGrammarsStayFinite) {
  const std::string grammar = "root ::= [ab]* \"a\" [ab]{30}";
  GrammarState state(parse_gbnf(grammar, "g"));
  std::string text;
  for (int i = 0; i < 200; ++i) text += i * i % 7 < 3 ? 'a' : 'b';
  EXPECT_TRUE(state.accept(text));
  EXPECT_EQ(state.may_end(), text[text.size() - 31] == 'a');
}

// All code points, by the bytes that a class takes.
TEST(Gbnf, ClassesTakeTheirCodePointsAndNoOthers) {
  const std::vector<CodePointRange> classes[] = {
      {{0, 0x10FFFF}},    {{0x7F, 0x80}},       {{0x7FE, 0x801}},
      {{0xD7FE, 0xE002}}, {{0xFFFE, 0x10001}},  {{0x10FFFE, 0x10FFFF}},
      {{0x123, 0x4567}},  {{0x12345, 0x6789A}}, {{'a', 'z'}, {0xE9, 0xE9}, {0xAC00, 0xD7A3}}};
  for (const auto& ranges : classes) {
    std::string text = "root ::= [";
    for (const CodePointRange& range : ranges) {
      text += fmt::format("\\U{:08x}-\\U{:08x}", static_cast<unsigned>(range.first),
                          static_cast<unsigned>(range.last));
    }
    // A surrogate can't be written, and the ranges that cross them have ends that are none.
    const GrammarState begin(parse_gbnf(text + "]", "g"));
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      std::string bytes;
      append_utf8(bytes, c);
      GrammarState state = begin;
      const bool found = state.accept(bytes) && state.must_end();
      const bool expected =
          std::ranges::any_of(ranges, [&](const auto& r) { return r.first <= c && c <= r.last; });
      ASSERT_EQ(found, expected) << text << " " << static_cast<unsigned>(c);
    }
    GrammarState surrogate = begin;
    EXPECT_FALSE(surrogate.accept("\xED\xA0\x80"));
  }
}

}  // namespace
}  // namespace llamajit::gbnf_test
