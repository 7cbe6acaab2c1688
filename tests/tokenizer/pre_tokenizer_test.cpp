#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <cctype>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sanitized.h"
#include "tests/support/small_stack.h"

namespace llamajit::pre_tokenizer_test {
namespace {

using Words = std::vector<std::string>;

Words split(const PreTokenizer& pre_tokenizer, std::string_view text) {
  Words words;
  pre_tokenizer.split(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

Words split(std::string_view name, std::string_view text) {
  return split(PreTokenizer(*find_pre_tokenizer_rule(name)), text);
}

TEST(PreTokenizer, CutsAsTheModelsDo) {
  EXPECT_EQ(split("gpt-2", "I've 123  words,\n\n ok"),
            (Words{"I", "'ve", " 123", " ", " words", ",", "\n\n", " ok"}));
  EXPECT_EQ(split("gpt-2", "a \n"), (Words{"a", " \n"}));
  EXPECT_EQ(split("starcoder", "x 123y"), (Words{"x", " ", "1", "2", "3", "y"}));
  EXPECT_EQ(split("llama-bpe", "I'VE 12345  words!\n\n\n ok"),
            (Words{"I", "'VE", " ", "123", "45", " ", " words", "!\n\n\n", " ok"}));
  EXPECT_EQ(split("qwen2", "(hello) 42½"), (Words{"(hello", ")", " ", "4", "2", "½"}));
  EXPECT_EQ(split("falcon", "a+b 1234"), (Words{"a", "+", "b", " ", "123", "4"}));
  EXPECT_EQ(split("default", "a+b 1234"), (Words{"a", "+", "b", " ", "123", "4"}));
  EXPECT_EQ(split("tekken", "camelCase HTTPServer 12"),
            (Words{"camel", "Case", " HTTPServer", " ", "1", "2"}));
  EXPECT_EQ(split("gpt-4o", "don't STOP"), (Words{"don't", " STOP"}));
  EXPECT_EQ(split("deepseek-llm", "a1b\n한글  "), (Words{"a", "1", "b", "\n", "한글", "  "}));
  EXPECT_EQ(split("deepseek-coder", "f(x)  1"), (Words{"f", "(", "x", ")", "  ", "1"}));
  EXPECT_EQ(split("afmoe", "1234567 ก"), (Words{"1", "234", "567", " ก"}));
  EXPECT_EQ(split("superbpe", "as it was 12345"), (Words{"as it was ", "12", "345"}));
  EXPECT_EQ(split("tiny_aya", "12345 12345th"), (Words{"12", "345", " ", "123", "45", "th"}));
  EXPECT_EQ(split("exaone-moe", "as it  was, 12"), (Words{"as it", " ", " was", ",", " ", "1", "2"}));
  EXPECT_EQ(split("kimi-k2", "camelCase 漢字kana 1234"),
            (Words{"camel", "Case", " ", "漢字", "kana", " ", "123", "4"}));
  EXPECT_EQ(split("jais-2", "a" + std::string(40, ' ') + "b"),
            (Words{"a", std::string(32, ' '), std::string(4, ' '), "  ", " ", " b"}));
  EXPECT_EQ(split("youtu", "한글 x：y"), (Words{"한글", " x", "：", "y"}));
  EXPECT_EQ(split("laguna", "a\n\n b"), (Words{"a", "\n\n", " b"}));
  EXPECT_EQ(split("chameleon", "a  b1!?"), (Words{"a", "  ", "b", "1", "!", "?"}));
  EXPECT_EQ(split("bloom", "a b."), (Words{"a", " b", "."}));
  EXPECT_EQ(find_pre_tokenizer_rule("gpt-3"), nullptr);
  EXPECT_EQ(find_pre_tokenizer_rule(""), nullptr);
}

// The expressions as the models' tokenizer.json or llama.cpp have them, one after the other. The table has
// them in another form, which takes linear time.
const std::map<std::string, std::vector<const char*>> kOriginals = {
    {"starcoder",
     {R"(\p{N})", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}},
    {"falcon",
     {R"([\p{P}\$\+<=>\^~\|`]+)", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))",
      "[0-9][0-9][0-9]"}},
    {"default",
     {R"([\p{P}\$\+<=>\^~\|]+)", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))",
      R"(\p{N}+)", "[0-9][0-9][0-9]"}},
    {"llama-bpe",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
      R"(\s+(?!\S)|\s+)"}},
    {"qwen2",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
      R"(\s+(?!\S)|\s+)"}},
    {"exaone-moe",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
      R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"}},
    {"jais-2",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
      R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S))"
      R"(|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},
    {"kimi-k2",
     {R"(\p{sc:Han}+)"
      R"(|[^\r\n\p{L}\p{N}]?(?:(?!\p{sc:Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])*)"
      R"((?:(?!\p{sc:Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
      R"(|[^\r\n\p{L}\p{N}]?(?:(?!\p{sc:Han})[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])+)"
      R"((?:(?!\p{sc:Han})[\p{Ll}\p{Lm}\p{Lo}\p{M}])*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
      R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"tiny_aya",
     {R"(\d{1,3}(?=(?:\d{3})*(?![\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}])))",
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
      R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"superbpe", {R"(\p{N}+)", R"(\p{N}{1,3}(?=(?:\p{N}{3})*+(?!\p{N})))"}},
    {"spark2_5",
     {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
      R"(|[\r\n]|\s+(?!\S)|\s+)",
      R"(\p{N})"}},
    {"chameleon",
     {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", R"([\t\n]|    |  )", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])",
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}},
    {"deepseek-coder", {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[一-龥ࠀ-一가-퟿]+", R"(\p{N})"}},
    {"deepseek-llm",
     {"[\r\n]",
      R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯ)"
      R"(Ա-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1F7D})"
      R"(ᾀ-ᾴᾶ-ᾼ\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕ)"
      R"(ℙ-ℝℤ\x{2126}ℨ\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯ)"
      R"(ꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)",
      "\\s?[!-/:-~！-／：-～‘-‟　-。]+", R"(\s+$)", "[一-龥ࠀ-一가-퟿]+", R"(\p{N}+)"}},
    {"deepseek-v3",
     {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
      R"([\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
};

Words split_slowly(const std::vector<const char*>& patterns, const std::string& text) {
  Words words{text};
  for (const char* pattern : patterns) {
    const Regex regex{std::string_view(pattern)};
    RegexScratch scratch;
    Words next;
    for (const std::string& word : words) {
      std::size_t at = 0;
      while (const auto match = regex.find(word, at, scratch)) {
        if (match->begin > at) next.push_back(word.substr(at, match->begin - at));
        next.push_back(word.substr(match->begin, match->end - match->begin));
        at = match->end;
      }
      if (at < word.size()) next.push_back(word.substr(at));
    }
    words = next;
  }
  return words;
}

// Characters of every kind that an expression asks for.
const std::vector<std::string> kAlphabet = {
    "a", "Z", "é",  "ſ", "一", "가",     "ぁ",     "न",      "\u0301", "1",
    "9", "½", "٣",  " ", " ",  "\n",     "\r",     "'",      "'s",     "'S",
    "+", "!", "。", "$", "`",  "\u3000", "\u00A0", "\u180E", "\u2028", "🦙"};

TEST(PreTokenizer, TheTablesExpressionsCutLikeTheOriginals) {
  for (const auto& [name, patterns] : kOriginals) {
    const PreTokenizer pre_tokenizer(*find_pre_tokenizer_rule(name));
    std::mt19937 random(7);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (std::size_t n = random() % 24; n > 0; --n) text += kAlphabet[random() % kAlphabet.size()];
      ASSERT_EQ(split(pre_tokenizer, text), text.empty() ? Words{} : split_slowly(patterns, text)) << name;
    }
  }
}

// One of each set of rules that differ in nothing but their names.
std::vector<std::string> different_rules() {
  std::map<const CutStep*, std::string> names;
  for (const PreTokenizerRule& rule : pre_tokenizer_rules()) names.emplace(rule.steps.data(), rule.name);
  std::vector<std::string> result;
  for (const auto& [steps, name] : names) result.push_back(name);
  return result;
}

class EveryRule : public ::testing::TestWithParam<std::string> {
 protected:
  PreTokenizer pre_tokenizer_{*find_pre_tokenizer_rule(GetParam())};
};

TEST_P(EveryRule, TheWordsTogetherAreTheText) {
  std::mt19937 random(11);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (std::size_t n = random() % 40; n > 0; --n) {
      // Now and then a byte that is no UTF-8.
      text += random() % 8 == 0 ? std::string(1, static_cast<char>(0x80 + random() % 0x80))
                                : kAlphabet[random() % kAlphabet.size()];
    }
    std::string together;
    for (const std::string& word : split(pre_tokenizer_, text)) {
      ASSERT_FALSE(word.empty());
      together += word;
    }
    ASSERT_EQ(together, text);
  }
}

// The same again and again, and something that ends it: quadratic time would be some 10 s.
TEST_P(EveryRule, TakesLinearTimeAndLittleStack) {
  std::vector<std::string> units = kAlphabet;
  for (const char* unit :
       {" a", "  a", " \n", "a1", "A a", "'a", "\n a", "1 ", " 。", "aA", "\xFF", "a\xFF"}) {
    units.emplace_back(unit);
  }
  test::run_with_stack(256 * 1024, [&] {
    for (const std::string& unit : units) {
      for (const char* end : {"", "x", "1", " ", "!"}) {
        std::string text;
        while (text.size() < (test::kSanitized ? 8192 : 65536)) text += unit;
        text += end;
        const auto start = std::clock();
        ASSERT_FALSE(split(pre_tokenizer_, text).empty());
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        ASSERT_LT(seconds, 2.0) << "'" << unit << "', then '" << end << "'";
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, EveryRule, ::testing::ValuesIn(different_rules()), [](const auto& instance) {
  std::string name = instance.param;
  std::ranges::replace_if(
      name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

TEST(PreTokenizer, BytesThatAreNoTextAreWordsOfTheirOwn) {
  EXPECT_EQ(split("gpt-2",
                  "a\xFF\xFE"
                  "b\xED\x95"),
            (Words{"a", "\xFF\xFE", "b", "\xED\x95"}));
  EXPECT_EQ(split("gpt-2", ""), Words{});
}

}  // namespace
}  // namespace llamajit::pre_tokenizer_test
