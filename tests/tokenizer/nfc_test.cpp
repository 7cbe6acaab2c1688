#include "tokenizer/nfc.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <utf8proc.h>

#include "tests/support/sanitized.h"
#include "tests/support/small_stack.h"
#include "tokenizer/utf8.h"

namespace llamajit::nfc_test {
namespace {

std::string composed(std::string_view text) {
  return nfc(text).value_or(std::string(text));
}

// By utf8proc's function for whole texts, whose time is quadratic.
std::string composed_slowly(std::string_view text) {
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
      &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  EXPECT_GE(size, 0);
  return {reinterpret_cast<const char*>(result),
          static_cast<std::size_t>(std::max<utf8proc_ssize_t>(size, 0))};
}

std::string utf8(char32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

bool is_surrogate(char32_t code_point) {
  return code_point >= 0xD800 && code_point < 0xE000;
}

TEST(Nfc, Composes) {
  EXPECT_EQ(composed("e\u0301"), "\u00E9");
  EXPECT_EQ(composed("cafe\u0301s"), "caf\u00E9s");
  EXPECT_EQ(composed("\u1100\u1161"), "\uAC00");
  EXPECT_EQ(composed("\u1112\u1161\u11AB\u1100\u1173\u11AF"), "한글");
  EXPECT_EQ(composed("\uAC00\u11A8"), "\uAC01") << "a syllable and its last part";
  EXPECT_EQ(composed("\u212B"), "\u00C5") << "the sign for ångström";
  EXPECT_EQ(composed("\u0958"), "\u0915\u093C") << "is never composed";
  EXPECT_EQ(composed("a\u0301\u0316"), "\u00E1\u0316") << "accents in order";
  EXPECT_EQ(composed("\u304B\u3099"), "\u304C");
  EXPECT_EQ(composed("\u00E9\u0323"), "\u1EB9\u0301") << "what is composed falls apart first";
}

TEST(Nfc, LeavesAloneWhatIsComposed) {
  for (const char* text :
       {"", "abc", "naïve café", "한국어", "中文。", "\u304C", "🦙", "\u0301", "a\u0316\u0323"}) {
    EXPECT_EQ(nfc(text), std::nullopt) << text;
  }
}

TEST(Nfc, BytesThatAreNoTextStayAndPart) {
  EXPECT_EQ(composed("e\xFF\u0301"), "e\xFF\u0301");
  EXPECT_EQ(composed("\xFF"
                     "e\u0301\xFE\u1100\u1161\xED\x95"),
            "\xFF\u00E9\xFE\uAC00\xED\x95");
  EXPECT_EQ(composed("e\u0301\xCC"), "\u00E9\xCC") << "half a character";
  EXPECT_EQ(composed(std::string("e\u0301\0e\u0301", 7)), std::string("\u00E9\0\u00E9", 5));
}

// Alone, and where it may compose or fall apart.
TEST(Nfc, EveryCharacterIsAsTheSlowWayHasIt) {
  // Few compose or fall apart beyond 0x3400.
  for (char32_t c = 1; c < 0x110000; c += test::kSanitized && c > 0x3400 ? 29 : 1) {
    if (is_surrogate(c)) continue;
    const std::string text = utf8(c);
    for (const std::string& with : {text, "e" + text + "\u0323", "\u0301" + text + "\u09BE"}) {
      ASSERT_EQ(composed(with), composed_slowly(with)) << std::hex << static_cast<std::uint32_t>(c);
    }
  }
}

// Each character that falls apart, put together again, whatever its second part is.
TEST(Nfc, EveryDecompositionComposes) {
  int found = 0;
  for (char32_t c = 0xA0; c < 0x110000; ++c) {
    if (is_surrogate(c)) continue;
    std::vector<utf8proc_int32_t> parts(8);
    int boundary = 0;
    const auto size = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), 8,
                                              UTF8PROC_DECOMPOSE, &boundary);
    std::string text;
    for (std::ptrdiff_t i = 0; i < size; ++i)
      append_utf8(text, static_cast<char32_t>(parts[static_cast<std::size_t>(i)]));
    ASSERT_EQ(composed(text), composed_slowly(text)) << std::hex << static_cast<std::uint32_t>(c);
    if (size > 1) ++found;
  }
  EXPECT_GT(found, 12000);
}

TEST(Nfc, RandomTextsAreAsTheSlowWayHasThem) {
  const std::vector<std::string> units = {"a",      "e",      "\u00E9", "\u1EB9", "\u0301", "\u0316",
                                          "\u0323", "\u0327", "\u1100", "\u1161", "\u11A8", "\uAC00",
                                          "\u09C7", "\u09BE", "\u304B", "\u3099", "\u212B", "\u0958",
                                          "\u0344", "中",     "🦙"};
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) text += units[random() % units.size()];
    const std::string result = composed(text);
    ASSERT_EQ(result, composed_slowly(text)) << text;
    ASSERT_EQ(nfc(result), std::nullopt) << text;
  }
}

// Accents in turns that must change places: quadratic time would be minutes.
TEST(Nfc, AMebibyteOfAnythingIsQuick) {
  for (const char* unit : {"\u0301", "\u0301\u0316", "e\u0301", "e\u0301\u0316\u0323", "\u1100\u1161",
                           "\u1161", "\u304C", "\u0958", "\u0344", "한", "🦙", "\xCC", "é"}) {
    std::string text;
    while (text.size() < std::size_t{1} << 20) text += unit;
    const double seconds = test::best_seconds_on_small_stack([&] { nfc(text); });
    EXPECT_LT(seconds, 10 * test::kMebibyteSeconds) << unit;
  }
}

}  // namespace
}  // namespace llamajit::nfc_test
