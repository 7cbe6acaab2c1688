#include "tokenizer/charsmap.h"

#include <random>
#include <stdexcept>
#include <string>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/charsmap_writer.h"

namespace llamajit::charsmap_test {
namespace {

using namespace std::string_literals;
using test::CharsmapWriter;

const CharsmapWriter::Map kMap = {
    {"A", "a"},      {"\u00C5", "A\u030A"}, {"\uFB01", "fi"},          {"\u200B", ""},
    {"\u3000", " "}, {"\uFF76", "\u30AB"},  {"\uFF76\uFF9E", "\u30AC"}};

void expect_error(const std::string& bytes, const std::string& message) {
  try {
    const Charsmap map(bytes);
    ADD_FAILURE() << "expected: " << message;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(message));
  }
}

TEST(Charsmap, FindsTheLongestKeyThatATextBeginsWith) {
  const Charsmap map(CharsmapWriter(kMap).bytes());
  for (const auto& [key, replacement] : kMap) {
    const Charsmap::Prefix found = map.find(key + "x");
    EXPECT_EQ(found.length, key.size()) << key;
    EXPECT_EQ(found.replacement, replacement) << key;
  }
  EXPECT_EQ(map.find("\uFF76\uFF9E").length, 6);
  EXPECT_EQ(map.find("\uFF76\uFF9F").length, 3);
  for (const std::string& text : {""s, "a"s, "xA"s, "\xC3"s, "\0A"s}) EXPECT_EQ(map.find(text).length, 0);
  EXPECT_EQ(Charsmap().find("A").length, 0);
}

TEST(Charsmap, LastReplacementNeedsNoZeroByte) {
  std::string bytes = CharsmapWriter(CharsmapWriter::Map{{"x", "yz"}}).bytes();
  bytes.pop_back();
  EXPECT_EQ(Charsmap(bytes).find("x").replacement, "yz");
}

TEST(Charsmap, RefusesSizesAndPlacesOutsideOfIt) {
  expect_error("", "precompiled charsmap: bytes: expected at least 4, found 0");
  expect_error("\1\0\0"s, "bytes: expected at least 4, found 3");
  expect_error("\4\0\0\0abc"s, "bytes of the tree: expected a multiple of 4, at most 3, found 4");
  expect_error("\xFF\xFF\xFF\xFF"s, "found 4294967295");
  expect_error("\2\0\0\0abc"s, "found 2");
  expect_error("\4\0\0\0\3\0\0\x80xyz"s, "where a replacement begins: expected less than 3, found 3");
  expect_error(std::string((1 << 24) + 1, '\0'), "bytes: expected at most 16777216, found 16777217");
  EXPECT_EQ(Charsmap("\0\0\0\0"s).find("a").length, 0);
}

// A tree in which every step by "a" comes back to the same node.
TEST(Charsmap, AKeyWithoutAnEndEnds) {
  CharsmapWriter writer(CharsmapWriter::Map{{"a", "b"}});
  const std::size_t offset = writer.units[0] >> 10;
  const std::size_t node = offset ^ 'a';
  writer.units[node] = 'a' | 'a' << 10;
  EXPECT_EQ(Charsmap(writer.bytes()).find(std::string(1000, 'a')).length, 0);
  // Now its zero byte has a value, too.
  writer.units[node] |= 0x100;
  writer.units[node ^ 'a'] = 0x80000000U;
  EXPECT_EQ(Charsmap(writer.bytes()).find(std::string(1000, 'a')).length, Charsmap::kLongestKey);
}

TEST(Charsmap, DamageLeadsNowhereOrIsRefused) {
  CharsmapWriter writer(kMap);
  writer.units.resize(0x800);
  const std::string good = writer.bytes();
  std::mt19937 random(3);
  int refused = 0;
  int found = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = good;
    for (int flips = 0; flips < 4; ++flips) {
      // Most of the tree is empty.
      const std::size_t at = random() % 2 == 0 ? random() % 0x500 : random() % bytes.size();
      bytes[at] = static_cast<char>(random());
    }
    try {
      const Charsmap map(bytes);
      for (const auto& [key, replacement] : kMap) {
        const Charsmap::Prefix prefix = map.find(key + key);
        ASSERT_LE(prefix.length, 2 * key.size());
        ASSERT_LE(prefix.replacement.size(), writer.replacements.size() + 8);
        found += prefix.length > 0 ? 1 : 0;
      }
    } catch (const std::invalid_argument&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(found, 1000);
}

}  // namespace
}  // namespace llamajit::charsmap_test
