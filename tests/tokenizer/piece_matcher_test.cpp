#include "tokenizer/piece_matcher.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::piece_matcher_test {
namespace {

Vocab vocab_of(const std::vector<std::string>& names) {
  std::vector<Piece> pieces;
  for (const std::string& name : names) pieces.push_back({name, 0, PieceKind::control});
  return Vocab(std::move(pieces));
}

bool all(PieceKind /*kind*/) {
  return true;
}

// Every place and every piece is tried.
PieceMatcher::Match find_slowly(const Vocab& vocab, std::string_view text) {
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    PieceMatcher::Match best{begin, begin, -1};
    for (TokenId id = 0; id < vocab.size(); ++id) {
      const std::string& bytes = vocab[id].bytes;
      if (text.substr(begin).starts_with(bytes) && begin + bytes.size() > best.end) {
        best = {begin, begin + bytes.size(), id};
      }
    }
    if (best.id >= 0) return best;
  }
  return {text.size(), text.size(), -1};
}

TEST(PieceMatcher, FindsTheLeftmostAndLongest) {
  std::mt19937 random(5);
  const auto word = [&](std::size_t longest) {
    std::string text;
    for (std::size_t n = random() % (longest + 1); n > 0; --n) text += "ab\xFF"[random() % 3];
    return text;
  };
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::string> names;
    for (std::size_t n = random() % 8; n > 0; --n) names.push_back(word(5));
    const Vocab vocab = vocab_of(names);
    const PieceMatcher matcher(vocab, all);
    const std::string text = word(12);
    const auto expected = find_slowly(vocab, text);
    const auto found = matcher.find(text);
    ASSERT_EQ(found.begin, expected.begin) << text;
    ASSERT_EQ(found.end, expected.end) << text;
    ASSERT_EQ(found.id, expected.id) << text;
  }
}

TEST(PieceMatcher, LooksForTheKindsThatAreWanted) {
  const Vocab vocab({{"a", 0, PieceKind::normal}, {"b", 0, PieceKind::user_defined}, {"", 0}});
  const PieceMatcher matcher(vocab, [](PieceKind kind) { return kind == PieceKind::user_defined; });
  EXPECT_EQ(matcher.find("ab").id, 1);
  EXPECT_EQ(matcher.find("ab").begin, 1);
  EXPECT_EQ(matcher.find("aa").id, -1);
  EXPECT_EQ(matcher.find("").id, -1);
}

}  // namespace
}  // namespace llamajit::piece_matcher_test
