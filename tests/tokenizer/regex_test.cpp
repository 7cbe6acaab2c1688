#include "tokenizer/regex.h"

#include <stdexcept>
#include <string>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/small_stack.h"

namespace llamajit::regex_test {
namespace {

using ::testing::HasSubstr;

// The first match as text, "-" for none.
std::string first(const Regex& regex, std::string_view text) {
  RegexScratch scratch;
  const auto match = regex.find(text, 0, scratch);
  return match ? std::string(text.substr(match->begin, match->end - match->begin)) : "-";
}

TEST(Regex, KnowsUnicode) {
  EXPECT_EQ(first(Regex("\\p{L}+"), "1 한글é!"), "한글é");
  EXPECT_EQ(first(Regex("\\p{N}+"), "a½٣!"), "½٣");
  EXPECT_EQ(first(Regex("(?i:'ll)"), "I'lL"), "'lL");
  EXPECT_EQ(first(Regex("."), "🦙"), "🦙") << "a character, not a byte";
  EXPECT_EQ(first(Regex("x"), "abc"), "-");
  EXPECT_EQ(first(Regex("x"), ""), "-");
}

TEST(Regex, WhiteSpaceIsUnicodes) {
  for (const char* space : {" ", "\t", "\n", "\v", "\f", "\r", "\u0085", "\u00A0", "\u1680", "\u2000",
                            "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"}) {
    EXPECT_EQ(first(Regex("\\s"), space), space);
    EXPECT_EQ(first(Regex("\\S"), space), "-");
    EXPECT_EQ(first(Regex("[^\\sx]"), space), "-");
  }
  for (const char* other : {"\u180E", "\u200B", "\uFEFF", "a"}) EXPECT_EQ(first(Regex("\\s"), other), "-");
  EXPECT_EQ(first(Regex("\\\\s"), "\\s"), "\\s") << "an escaped backslash, then an s";
}

TEST(Regex, SaysWhetherTheGroupTookPart) {
  const Regex regex("a|(b)");
  RegexScratch scratch;
  EXPECT_FALSE(regex.find("ab", 0, scratch)->group);
  EXPECT_TRUE(regex.find("ab", 1, scratch)->group);
}

TEST(Regex, FindsNoMatchOfNothing) {
  EXPECT_EQ(first(Regex("x*"), "abc"), "-");
  EXPECT_EQ(first(Regex("x*"), "abxx"), "xx");
}

TEST(Regex, RefusesWhatIsNoExpression) {
  try {
    const Regex regex("a(b");
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("'a(b': missing closing parenthesis at byte 3"));
  }
}

// Goes back and forth: 2^n steps.
TEST(Regex, AnExpressionWithoutEndIsStopped) {
  const Regex regex("(?:a+)+[bc]");
  RegexScratch scratch;
  const std::string text(64, 'a');
  try {
    regex.find(text, 0, scratch);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("match limit exceeded"));
  }
}

// Remembers a place for each repetition: memory that grows with the text.
TEST(Regex, AnExpressionThatRemembersEverythingIsStopped) {
  const Regex regex("(?:ab?)*[cd]");
  const std::string text(std::size_t{1} << 20, 'a');
  test::run_with_stack(256 * 1024, [&] {
    RegexScratch scratch;
    try {
      regex.find(text, 0, scratch);
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("heap limit exceeded"));
    }
  });
}

}  // namespace
}  // namespace llamajit::regex_test
