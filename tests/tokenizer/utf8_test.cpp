#include "tokenizer/utf8.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::utf8_test {
namespace {

using namespace std::string_literals;

// 1, 2, 3 and 4 bytes a character, a combining accent, and NUL.
const std::string kText = "aé한😀e\u0301\0z߿ࠀ￿𐀀\U0010FFFF"s;

// Well-formed by an independent reading of the standard: decode, then compare with the shortest form.
bool is_character(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  std::uint32_t code = 0;
  if (s.size() == 1) return byte(0) < 0x80;
  if (s.size() == 2 && (byte(0) & 0xE0) == 0xC0)
    code = byte(0) & 0x1Fu;
  else if (s.size() == 3 && (byte(0) & 0xF0) == 0xE0)
    code = byte(0) & 0x0Fu;
  else if (s.size() == 4 && (byte(0) & 0xF8) == 0xF0)
    code = byte(0) & 0x07u;
  else
    return false;
  for (std::size_t i = 1; i < s.size(); ++i) {
    if ((byte(i) & 0xC0) != 0x80) return false;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const std::size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  return shortest == s.size() && code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
}

TEST(Utf8Length, AgreesWithTheStandardOnEveryTwoFirstBytes) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      // The third and fourth bytes at their limits: wrong on
      // either side, and the lowest and highest right ones.
      for (const char* tail : {"\x7F\x80", "\x80\x80", "\xBF\xBF", "\xC0\x80", "\x80\x7F", "\x80\xC0"}) {
        const std::string s = {static_cast<char>(first), static_cast<char>(second), tail[0], tail[1]};
        std::size_t expected = 1;
        for (std::size_t length = 1; length <= 4; ++length) {
          if (is_character(s.substr(0, length))) expected = length;
        }
        ASSERT_EQ(utf8_length(s), expected) << first << ' ' << second << ' ' << static_cast<int>(tail[0]);
      }
    }
  }
}

TEST(Utf8Length, CountsOneForACutCharacter) {
  for (const char* cut : {"\xC3", "\xED\x95", "\xED", "\xF0\x9F\x98"}) EXPECT_EQ(utf8_length(cut), 1u);
}

TEST(Utf8Stream, NeverSplitsACharacterWhereverTheTextIsCut) {
  for (std::size_t i = 0; i <= kText.size(); ++i) {
    for (std::size_t j = i; j <= kText.size(); ++j) {
      Utf8Stream stream;
      std::string all;
      for (const std::string& part : {kText.substr(0, i), kText.substr(i, j - i), kText.substr(j)}) {
        const std::string out = stream.push(part);
        for (std::size_t at = 0; at < out.size();) {
          const std::size_t length = utf8_length(std::string_view(out).substr(at));
          ASSERT_TRUE(is_character(std::string_view(out).substr(at, length))) << i << ' ' << j;
          at += length;
        }
        all += out;
      }
      ASSERT_EQ(all, kText) << i << ' ' << j;
      ASSERT_EQ(stream.finish(), "");
    }
  }
}

TEST(Utf8Stream, GivesACharacterWithItsLastByte) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xF0"), "");
  EXPECT_EQ(stream.push("\x9F"), "");
  EXPECT_EQ(stream.push("\x98"), "");
  EXPECT_EQ(stream.push("\x80"), "😀");
  EXPECT_EQ(stream.push("a"), "a");
}

TEST(Utf8Stream, PassesIllFormedBytesThroughWithoutLossOrDelay) {
  const std::vector<std::string> ill_formed = {
      "\xC0\x80",
      "\xE0\x9F\xBF",
      "\xF0\x8F\xBF\xBF",  // overlong
      "\xED\xA0\x80",
      "\xED\xBF\xBF",  // surrogates
      "\xF4\x90\x80\x80",
      "\xF5\x80\x80\x80",  // beyond U+10FFFF
      "\x80",
      "\xBF\xBF",  // continuation bytes alone
      "\xFE",
      "\xFF",
      "\xE1\x80"
      "a",
      "\xF0\x9F"
      "é",  // no lead bytes; cut characters before others
  };
  for (const std::string& bytes : ill_formed) {
    Utf8Stream whole;
    EXPECT_EQ(whole.push(bytes), bytes);
    EXPECT_EQ(whole.finish(), "");
    Utf8Stream one_by_one;
    std::string all;
    for (const char byte : bytes) all += one_by_one.push(std::string(1, byte));
    EXPECT_EQ(all, bytes);
    EXPECT_EQ(one_by_one.finish(), "");
  }
}

TEST(Utf8Stream, HandsOutACutCharacterAtTheEndAndStartsAfresh) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xED\x95"), "a");
  EXPECT_EQ(stream.finish(), "\xED\x95");
  EXPECT_EQ(stream.finish(), "");
  EXPECT_EQ(stream.push("한"), "한");
}

TEST(Utf8, CodePointsComeBack) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(utf8_well_formed(text), text.size()) << std::hex << static_cast<std::uint32_t>(c);
    ASSERT_EQ(utf8_length(text), text.size());
    ASSERT_EQ(utf8_code_point(text + "x"), c);
  }
}

TEST(Utf8, WhiteSpaceIsUnicodes) {
  const std::string spaces = " \t\n\v\f\r\u0085\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u3000";
  EXPECT_EQ(without_leading_space(spaces + "a b" + spaces), "a b" + spaces);
  EXPECT_EQ(without_trailing_space(spaces + "a b" + spaces), spaces + "a b");
  EXPECT_EQ(without_leading_space(spaces), "");
  EXPECT_EQ(without_trailing_space(spaces), "");
  for (const char* other :
       {"\u180E", "\u200B", "\uFEFF", "\x85", "\xA0", "\x80\x80", "\xE3\x80", "é", "🦙"}) {
    EXPECT_EQ(without_leading_space(other), other);
    EXPECT_EQ(without_trailing_space(other), other);
  }
}

}  // namespace
}  // namespace llamajit::utf8_test
