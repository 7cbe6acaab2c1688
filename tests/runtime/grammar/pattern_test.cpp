// Patterns that look ahead, beside std::regex, which has ECMA 262's notation, too.
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/grammar/grammar_state.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/schema_texts.h"

namespace llamajit::pattern_test {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

GrammarState strings_of(std::string_view pattern) {
  return GrammarState(compile_json_schema({{"pattern", pattern}}, "s"));
}

bool is_string(const GrammarState& begin, const std::string& value) {
  return test::is_text(begin, nlohmann::json(value).dump());
}

// All strings of up to `length` characters.
std::vector<std::string> all_of(std::string_view characters, int length) {
  std::vector<std::string> all{""};
  std::size_t begin = 0;
  for (int i = 0; i < length; ++i) {
    const std::size_t end = all.size();
    for (std::size_t n = begin; n < end; ++n) {
      for (const char c : characters) all.push_back(all[n] + c);
    }
    begin = end;
  }
  return all;
}

TEST(Pattern, LooksAheadAsRegularExpressionsDo) {
  const std::vector<std::string> strings = all_of("abc\"", 6);
  for (const std::string pattern : {"^(?=a)",
                                    "^(?!a)",
                                    "^(?=.*c)(?=.*b)[abc]{3,}$",
                                    "^(?!.*aa).*$",
                                    "(?=ab)",
                                    "c(?!b)",
                                    "c(?=b$)",
                                    "a(?!b|c)",
                                    "^(?!ab$)(?!c)a?.*$",
                                    "^(?=(?:a|b)+$)(?!b).{2,4}$",
                                    "^a(?=b)b|^c(?!\")",
                                    "^(?:ab|(?=.b)(?!c)..)$",
                                    "^(?:a(?=b)(?:b(?!a).*)?|(?!a)b+)$",
                                    "^(?!(?=a)..a)[ab]+$",
                                    "^(?=a*$)|^b(?!.*b)",
                                    "^(?!a(?!b)).*c$",
                                    "^(?=.{2,3}$)[a-c](?:[\"]?[a-c])*?$",
                                    "^b(?=)$",
                                    "^[^a](?=[^a]$).$",
                                    "\"(?!\").$"}) {
    const std::regex reference(pattern);
    const GrammarState begin = strings_of(pattern);
    int found = 0;
    for (const std::string& string : strings) {
      const bool expected = std::regex_search(string, reference);
      ASSERT_EQ(is_string(begin, string), expected) << pattern << ": " << string;
      found += expected ? 1 : 0;
    }
    EXPECT_GT(found, 0) << pattern;
    EXPECT_LT(found, static_cast<int>(strings.size())) << pattern;
  }
}

// A character that is not to be there isn't there by another spelling.
TEST(Pattern, LooksAheadAtTheStringThatIsMeant) {
  GrammarState state = strings_of("^(?!a)");
  EXPECT_FALSE(state.accept("\"\\u0061"));
  EXPECT_TRUE(is_string(strings_of("^(?!\\n)"), "\t\n"));
  EXPECT_FALSE(is_string(strings_of("^(?!\\n)"), "\n\t"));
  EXPECT_TRUE(is_string(strings_of("^(?=[가-힣])..$"), "한é"));
  EXPECT_FALSE(is_string(strings_of("^(?!.*[가-힣])"), "é한"));
}

// On what is no ASCII engines differ: what isn't to be there is what any of them takes for such.
TEST(Pattern, WhatIsExcludedIsExcludedForAllEngines) {
  struct Case {
    const char* pattern;
    std::vector<std::string> strings, others;
  };
  for (const Case& c :
       std::vector<Case>{{R"(^(?!.*\D).+$)", {"1", "42"}, {"é", "\x01", "1é", "a", "1\n"}},
                         {R"(^(?!.*\W).+$)", {"a_1"}, {"é", "\x01", "\x7F", "a é"}},
                         {R"(^(?!.*\s).+$)", {"ab", "é"}, {"a\u00A0b", "a b", "\u3000", "a\u0085"}},
                         {R"(^(?!.*\S).+$)", {" \t"}, {"é", "\x01", "\u00A0"}},
                         {R"(^(?!.*[\W_]).*$)", {"", "aB3"}, {"é", "_", "\x01"}},
                         {R"(^(?!.*[^\d]).+$)", {"12"}, {"a", "é"}},
                         {R"(^(?!(?!\D)).$)", {"a", "-"}, {"1", "é", "\x01"}},
                         {R"(^(?!.*x).+$)", {"ab"}, {"x", "\rx", "\u2028x"}},
                         {R"(^[^\D]+$)", {"12"}, {"é", "\x01", "a"}},
                         {R"(^[^\W]+$)", {"a_1"}, {"é", "\x01"}},
                         {R"(^[^\s]+$)", {"ab", "é"}, {"\u00A0", " ", "\u2003"}},
                         {R"(^[^\S]+$)", {" \t"}, {"é", "\u00A0"}},
                         {R"(^\D\W\S$)", {"a-b"}, {"é-b", "aéb", "a-é"}}}) {
    const GrammarState begin = strings_of(c.pattern);
    for (const std::string& string : c.strings)
      EXPECT_TRUE(is_string(begin, string)) << c.pattern << ": " << string;
    for (const std::string& string : c.others)
      EXPECT_FALSE(is_string(begin, string)) << c.pattern << ": " << string;
  }
}

// As Zod 4 has them for z.iso.duration(), z.hostname() and z.emoji()'s sisters, and as passwords are asked for.
TEST(Pattern, LooksAheadAsSchemasDo) {
  const GrammarState duration = strings_of(
      R"(^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$)");
  for (const char* text : {"P3W", "P1Y2M3D", "PT5S", "PT0.5S", "P1DT12H", "P2M", "PT36H"})
    EXPECT_TRUE(is_string(duration, text)) << text;
  for (const char* text : {"P", "PT", "P1DT", "P1Y3W", "P3WT1H", "1Y", "PT5", "P1S"})
    EXPECT_FALSE(is_string(duration, text)) << text;
  const GrammarState host = strings_of(
      R"(^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$)");
  std::string longest = std::string(63, 'a');
  for (int i = 0; i < 2; ++i) longest += '.' + std::string(63, 'b');
  longest += '.' + std::string(61, 'c');
  for (const std::string& text : {std::string("a"), std::string("example.org."), longest, longest + '.'})
    EXPECT_TRUE(is_string(host, text)) << text;
  for (const std::string& text :
       {std::string(), std::string("-a"), longest + "c", longest + "cc", std::string(64, 'a')})
    EXPECT_FALSE(is_string(host, text)) << text;
  const GrammarState password = strings_of(R"(^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,16}$)");
  for (const char* text : {"abcdefG1", "1Aaaaaaaaaaaaaaa"}) EXPECT_TRUE(is_string(password, text)) << text;
  for (const char* text : {"abcdefg1", "ABCDEFG1", "abcdefGh", "aB1", "1Aaaaaaaaaaaaaaaa"})
    EXPECT_FALSE(is_string(password, text)) << text;
}

TEST(Pattern, NamesOfGroupsSayNothing) {
  const GrammarState begin = strings_of(R"(^(?<year>\d{4})-(?<month_2>\d\d)$)");
  EXPECT_TRUE(is_string(begin, "2026-12"));
  EXPECT_FALSE(is_string(begin, "year-12"));
}

TEST(Pattern, WhatCantBeLookedAheadForIsRefused) {
  struct Case {
    const char* pattern;
    const char* part;
  };
  for (const Case& c : std::vector<Case>{
           {"(?<=a)b",
            "column 3: expected ':', '=', '!' or a name of letters, as there is no looking behind"},
           {"(?<!a)b", "column 3: expected ':', '=', '!' or a name"},
           {"(?<>b)", "column 3: expected ':', '=', '!' or a name"},
           {"(?<1a>b)", "column 3: expected ':', '=', '!' or a name"},
           {"(?<a>b)(?<a>c)", "column 11: expected a name of no other group"},
           {"(?i:a)", "column 3: expected ':', '=', '!' or a name"},
           {"^(?:(?=a)a)c$",
            "column 12: expected the pattern's end with its '$' behind a group that looks ahead"},
           {"^(?:(?=a)a)", "column 12: expected the pattern's end with its '$'"},
           {"^((?:(?!a)b)c)$", "column 13: expected the pattern's end"},
           {"^(?:(?!a)b|c)+$", "column 15: expected no repetition before here of a group that looks ahead"},
           {"^(?:c|(?!a)b){2}$", "column 17: expected no repetition"},
           {"^(?=a)b", "column 2: expected what a text that follows can be"},
           {"^(?!a)a$", "column 2: expected what a text that follows can be"},
           {"^(?=a", "column 6: expected ')', found the end"},
           {"^(?=a)*b", "column 7: expected a character, a class or a group"}}) {
    EXPECT_THAT([&] { strings_of(c.pattern); }, ThrowsMessage<std::runtime_error>(HasSubstr(c.part)))
        << c.pattern;
  }
}

// Each is read within the one before it.
TEST(Pattern, LooksAheadAHundredTimesAtMost) {
  const auto pattern = [](int count) {
    std::string all = "^";
    for (int i = 0; i < count; ++i) all += "(?=$)";
    return all + '$';
  };
  EXPECT_TRUE(is_string(strings_of(pattern(100)), ""));
  for (const int count : {101, 100'000}) {
    EXPECT_THAT([&] { strings_of(pattern(count)); },
                ThrowsMessage<std::runtime_error>(
                    HasSubstr("s: /pattern: column 502: expected at most 100 times looking ahead")));
  }
}

// Short ones may ask for more positions than there can be.
TEST(Pattern, LookingAheadIsWithinBounds) {
  std::string pattern = "^";
  for (int i = 0; i < 14; ++i) pattern += "(?!.*a.{" + std::to_string(i + 3) + "}b)";
  EXPECT_THAT([&] { strings_of(pattern + ".*$"); },
              ThrowsMessage<std::runtime_error>(testing::StartsWith("s: expected less ")));
}

}  // namespace
}  // namespace llamajit::pattern_test
