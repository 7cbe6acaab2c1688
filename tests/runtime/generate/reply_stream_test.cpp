// These tests say what a reader of a reply sees, and when.
#include "runtime/generate/reply_stream.h"

#include <gtest/gtest.h>

namespace llamajit::reply_stream_test {
namespace {

// Returns what comes out of a text that is put in n bytes at a time.
std::string pushed_by(std::size_t n, const std::string& text, const std::vector<std::string>& stops = {}) {
  ReplyStream stream(stops);
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += n) {
    const std::string shown = stream.push(text.substr(at, n));
    const bool whole = utf8_well_formed(shown) == shown.size();
    EXPECT_TRUE(whole || utf8_well_formed(text) < text.size()) << "a split character";
    out += shown;
  }
  return out + stream.finish();
}

TEST(ReplyStream, TextComesOutAsItIsHoweverItIsCut) {
  const std::string text =
      "abc 한글 e\u0301 👩‍👩‍👧 👍🏽 🇰🇷 \u1112\u1161\u11AB ✈️ end";
  for (std::size_t n = 1; n < 12; ++n) EXPECT_EQ(pushed_by(n, text), text) << n;
  EXPECT_EQ(pushed_by(1,
                      "\xFF\x80x"
                      "\xED"),
            "\xFF\x80x"
            "\xED")
      << "bytes that are no character are not lost";
}

// As a model writes them that has tokens of single bytes.
TEST(ReplyStream, BytesThatAreNoCharacterAreNotWaitedFor) {
  for (const std::string& front : {std::string(), std::string("a"), std::string("\u1112")}) {
    const std::string text = front + std::string(100, '\xBD');
    EXPECT_EQ(pushed_by(1, text), text);
    ReplyStream stream({});
    EXPECT_EQ(stream.push(text), text);
  }
}

TEST(ReplyStream, EmojiAndSyllablesOfJamoComeWhole) {
  for (const std::string whole : {"👩‍👩‍👧", "👍🏽", "🇰🇷", "\u1112\u1161\u11AB"}) {
    ReplyStream stream({});
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(stream.push(whole.substr(i, 1)), "") << whole;
    EXPECT_EQ(stream.push(" "), whole + " ");
  }
}

TEST(ReplyStream, AnEndlessSequenceIsNotHeldForEver) {
  ReplyStream stream({});
  std::string out;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    out += stream.push("👍");
    all += "👍";
  }
  EXPECT_GT(out.size(), 3900U);
  EXPECT_EQ(out + stream.finish(), all);
}

TEST(ReplyStream, StopStringsAreFoundAcrossTokens) {
  for (std::size_t n = 1; n < 12; ++n) {
    EXPECT_EQ(pushed_by(n, "hello ### Instruction: more", {"### Instruction"}), "hello ") << n;
    EXPECT_EQ(pushed_by(n, "hello ### Instr", {"### Instruction"}), "hello ### Instr") << n;
    EXPECT_EQ(pushed_by(n, "aabaabaac", {"aabaac"}), "aab") << n;
    EXPECT_EQ(pushed_by(n, "한글이다", {"이"}), "한글") << n;
    EXPECT_EQ(pushed_by(n, "xyz", {"", "z", "yz"}), "x") << "the longest of those that end there";
  }
}

// Whichever begins first: the one that is whole first, as that ends the text where tokens are bytes.
TEST(ReplyStream, OfStopStringsWithinOneAnotherTheOneThatIsWholeFirstEndsTheText) {
  for (std::size_t n = 1; n < 8; ++n) {
    EXPECT_EQ(pushed_by(n, "a b: c", {"b: c", ":"}), "a b") << n;
    EXPECT_EQ(pushed_by(n, "a b: c", {"b: c", ":", "a b:"}), "") << n;
  }
  ReplyStream stream({"b: c", ":", "a b:"});
  stream.push("a b");
  EXPECT_EQ(stream.stop(), "");
  stream.push(": c");
  EXPECT_EQ(stream.stop(), "a b:");
}

TEST(ReplyStream, AfterAStopNothingComes) {
  ReplyStream stream({"stop"});
  EXPECT_EQ(stream.push("go st"), "go ");
  EXPECT_EQ(stream.push("op and on"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.stop(), "stop");
  EXPECT_EQ(stream.push("more"), "");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace llamajit::reply_stream_test
