#include "tokenizer/newer_unicode.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <utf8proc.h>

#include "tests/support/sanitized.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/regex.h"
#include "tokenizer/utf8.h"

namespace llamajit::newer_unicode_test {
namespace {

std::string utf8(char32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

bool matches(const Regex& regex, std::string_view text) {
  RegexScratch scratch;
  return regex.find(text, 0, scratch).has_value();
}

// Every character and what stands in for it.
std::map<char32_t, char32_t> stand_ins() {
  std::map<char32_t, char32_t> found;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (const auto older = with_older_characters(utf8(c))) found.emplace(c, utf8_code_point(*older));
  }
  return found;
}

TEST(NewerUnicode, OlderCharactersStandInForNewOnes) {
  EXPECT_EQ(with_older_characters(""), std::nullopt);
  EXPECT_EQ(with_older_characters("hi, é 한 中 🦙"), std::nullopt);
  const auto older = with_older_characters("hi \U0001FA77 \U000323AF한\u1C89\n");
  ASSERT_TRUE(older);
  EXPECT_EQ(older->size(), std::string("hi \U0001FA77 \U000323AF한\u1C89\n").size());
  EXPECT_TRUE(matches(Regex(R"(\Ahi \p{So} \p{Lo}한\p{Lu}\n\z)"), *older)) << *older;
}

// All that the expressions do not know and utf8proc does: the characters that came with Unicode 15. Those that
// came later are counted.
TEST(NewerUnicode, TheTableHasWhatTheExpressionsLack) {
  const auto found = stand_ins();
  const Regex unassigned(R"(\p{Cn})");
  int of_unicode_15 = 0;
  for (char32_t c = 1; c < 0x110000; ++c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    if (category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CS) continue;
    const auto row = found.find(c);
    if (row == found.end()) {
      ASSERT_FALSE(matches(unassigned, utf8(c))) << std::hex << static_cast<std::uint32_t>(c);
      continue;
    }
    ++of_unicode_15;
    ASSERT_EQ(category, utf8proc_category(static_cast<utf8proc_int32_t>(row->second)))
        << std::hex << static_cast<std::uint32_t>(c);
  }
  EXPECT_GE(of_unicode_15, 4489);
  EXPECT_EQ(found.size(), 4489U + 627 + 5185 + 4803) << "Unicode 15, 15.1, 16 and 17";
}

TEST(NewerUnicode, StandInsAreKnownAndOfTheSameLength) {
  const Regex unassigned(R"(\p{Cn})");
  for (const auto& [newer, older] : stand_ins()) {
    ASSERT_EQ(utf8(newer).size(), utf8(older).size()) << std::hex << static_cast<std::uint32_t>(newer);
    ASSERT_FALSE(matches(unassigned, utf8(older))) << std::hex << static_cast<std::uint32_t>(newer);
  }
}

// The ranges of code points, and the single ones, that a rule's expressions name by number.
std::set<std::string> explicit_ranges() {
  std::set<std::string> ranges;
  const Regex range(R"(\\x\{[0-9A-F]+\}(?:-\\x\{[0-9A-F]+\})?)");
  RegexScratch scratch;
  for (const PreTokenizerRule& rule : pre_tokenizer_rules()) {
    for (const CutStep& step : rule.steps) {
      for (const std::string_view source : {step.pattern, step.characters}) {
        std::size_t at = 0;
        while (const auto match = range.find(source, at, scratch)) {
          ranges.emplace(source.substr(match->begin, match->end - match->begin));
          at = match->end;
        }
      }
    }
  }
  return ranges;
}

TEST(NewerUnicode, StandInsAreInTheSameRangesOfTheExpressions) {
  const std::set<std::string> ranges = explicit_ranges();
  EXPECT_GT(ranges.size(), 100U);
  const auto pairs = stand_ins();
  for (const std::string& range : ranges) {
    const Regex regex("[" + range + "]");
    std::size_t n = 0;
    for (const auto& [newer, older] : pairs) {
      if (test::kSanitized && n++ % 10 != 0) continue;
      ASSERT_EQ(matches(regex, utf8(newer)), matches(regex, utf8(older)))
          << range << ": " << std::hex << static_cast<std::uint32_t>(newer);
    }
  }
}

std::vector<std::string> split(std::string_view rule, std::string_view text) {
  std::vector<std::string> words;
  PreTokenizer(*find_pre_tokenizer_rule(rule)).split(text, [&](std::string_view word) {
    words.emplace_back(word);
  });
  return words;
}

TEST(NewerUnicode, ThePreTokenizersKnowThem) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split("deepseek-v3", "hi \U0001FA77"), (Words{"hi", " \U0001FA77"}));
  EXPECT_EQ(split("deepseek-v3", "hi \U0001FAE9!\n"), (Words{"hi", " \U0001FAE9!\n"})) << "Unicode 16";
  EXPECT_EQ(split("deepseek-v3", "hi \U00032400"), (Words{"hi", " \U00032400"})) << "Unicode 17";
  EXPECT_EQ(split("gpt-2", "x\U000323AF \U0001E4F1\U0001E4F2"),
            (Words{"x\U000323AF", " \U0001E4F1\U0001E4F2"}))
      << "a letter and digits";
  EXPECT_EQ(split("gpt-2", "\xFF hi \U0001FA77\xFE"), (Words{"\xFF", " hi", " \U0001FA77", "\xFE"}));
}

}  // namespace
}  // namespace llamajit::newer_unicode_test
