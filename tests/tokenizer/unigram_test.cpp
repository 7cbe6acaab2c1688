#include "tokenizer/unigram.h"

#include <algorithm>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/charsmap_writer.h"
#include "tests/support/small_stack.h"
#include "tokenizer/utf8.h"

namespace llamajit::unigram_test {
namespace {

using Ids = std::vector<TokenId>;

constexpr TokenId kUnk = 0;
constexpr TokenId kEos = 1;

std::vector<Piece> make_pieces(const std::vector<std::pair<std::string, float>>& normal) {
  std::vector<Piece> pieces = {{"<unk>", 0, PieceKind::unknown}, {"</s>", 0, PieceKind::control}};
  for (const auto& [bytes, score] : normal) pieces.push_back({bytes, score});
  return pieces;
}

UnigramTokenizer tokenizer_of_pieces(std::vector<Piece> pieces, UnigramRules rules = {}) {
  return UnigramTokenizer(
      Vocab(std::move(pieces),
            {.unknown = kUnk, .bos = -1, .ends = {kEos}, .add_eos = false, .spelled_in_text = true}),
      std::move(rules));
}

UnigramTokenizer tokenizer_of(const std::vector<std::pair<std::string, float>>& normal,
                              UnigramRules rules = {}) {
  return tokenizer_of_pieces(make_pieces(normal), std::move(rules));
}

const UnigramRules kPlain{.space_prefix = false, .merge_spaces = false};

TEST(Unigram, TakesTheMostProbableWay) {
  const auto tokenizer =
      tokenizer_of({{"a", -2}, {"b", -2}, {"ab", -5}, {"abc", -6.5F}, {"c", -2}, {"bc", -3.5F}}, kPlain);
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{2, 3}));
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{2, 7}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

// As in HuggingFace's tokenizers; SentencePiece's sums, of floats, leave it to how they are rounded.
TEST(Unigram, OfEquallyProbableWaysTheOneWithTheLongestLastPiece) {
  const auto tokenizer = tokenizer_of({{"6", -20}, {"66", -3}, {"666", -4}}, kPlain);
  EXPECT_EQ(tokenizer.encode("66666"), (Ids{3, 4}));
}

TEST(Unigram, WhatIsNoPieceIsUnknownOnceForARun) {
  const auto tokenizer = tokenizer_of({{"a", -2}, {"ab", -30}}, kPlain);
  EXPECT_EQ(tokenizer.encode("axya"), (Ids{2, kUnk, 2}));
  EXPECT_EQ(tokenizer.encode("\u4E00\u4E01"), (Ids{kUnk}));
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{3})) << "an unknown character costs 10 more than the worst piece";
  EXPECT_EQ(tokenizer.encode("x\xFFy"), (Ids{kUnk}));
  const UnigramTokenizer none(Vocab({{"a"}}, {.unknown = -1, .bos = -1, .ends = {}}), kPlain);
  EXPECT_EQ(none.encode("axa"), (Ids{0, 0}));
}

TEST(Unigram, UnknownCharactersFallApartIntoBytes) {
  std::vector<Piece> pieces = make_pieces({{"a", -2}});
  for (const char byte : {'\xC3', '\xA9', 'x'}) pieces.push_back({std::string(1, byte), 0, PieceKind::byte});
  const auto tokenizer = tokenizer_of_pieces(std::move(pieces), kPlain);
  EXPECT_EQ(tokenizer.encode("a\u00E9xa"), (Ids{2, 3, 4, 5, 2}));
  EXPECT_EQ(tokenizer.encode("\u00E8\u00E9\u00E8\u00E8"), (Ids{kUnk, 3, 4, kUnk})) << "not all of its bytes";
}

TEST(Unigram, SpacesArePutInFrontAndMerged) {
  const std::vector<std::pair<std::string, float>> pieces = {{" ", -3}, {"a", -3}, {" a", -3}, {"  ", -3}};
  const auto encode = [&](bool prefix, bool merge, std::string_view text) {
    return tokenizer_of(pieces, {.space_prefix = prefix, .merge_spaces = merge}).encode(text);
  };
  EXPECT_EQ(encode(true, true, "a"), (Ids{4}));
  EXPECT_EQ(encode(true, true, "  a   a  "), (Ids{4, 4}));
  EXPECT_EQ(encode(true, true, "   "), Ids{});
  EXPECT_EQ(encode(true, false, "a  "), (Ids{4, 5}));
  EXPECT_EQ(encode(true, false, " a"), (Ids{2, 4}));
  EXPECT_EQ(encode(true, false, ""), Ids{});
  EXPECT_EQ(encode(false, true, "  a  a "), (Ids{3, 4}));
  EXPECT_EQ(encode(false, false, " a  "), (Ids{4, 5}));
  EXPECT_EQ(encode(true, true, "a\u2581a"), (Ids{4, 4})) << "a visible space is one";
  EXPECT_EQ(tokenizer_of(pieces).encode("a</s> a", {.special = true}), (Ids{4, kEos, 4}));
}

TEST(Unigram, ReplacesCharacters) {
  const test::CharsmapWriter writer({{"\uFF21", "A"}, {"\u200B", ""}, {"\t", " "}, {"\uFDFA", "x y"}});
  const auto tokenizer = tokenizer_of({{"A", -1}, {" ", -1}, {"x", -1}, {"y", -1}, {"\uFFFD", -1}},
                                      {.charsmap = Charsmap(writer.bytes())});
  EXPECT_EQ(tokenizer.encode("\uFF21\u200B\tA"), (Ids{3, 2, 3, 2}));
  EXPECT_EQ(tokenizer.encode("\uFDFA\t \t"), (Ids{3, 4, 3, 5}));
  EXPECT_EQ(tokenizer.encode("\u200B"), Ids{});
  EXPECT_EQ(tokenizer.encode("\xEF\xBC"), (Ids{3, 6, 6})) << "U+FFFD for each byte";
}

TEST(Unigram, PiecesThatAreNotNormalAreNoText) {
  std::vector<Piece> pieces = make_pieces({{"a", -2}, {"b", -2}});
  pieces.push_back({"ab", 0, PieceKind::unused});
  pieces.push_back({"ba", 0, PieceKind::user_defined});
  EXPECT_EQ(tokenizer_of_pieces(std::move(pieces), kPlain).encode("abab</s>"), (Ids{2, 5, 3, kUnk}));
}

double score_of_best(const Vocab& vocab, std::string_view text, double unknown) {
  std::vector<double> best(text.size() + 1, -std::numeric_limits<double>::infinity());
  best[0] = 0;
  for (std::size_t at = 0; at < text.size(); at += utf8_length(text.substr(at))) {
    for (std::size_t end = at + 1; end <= text.size(); ++end) {
      const TokenId id = vocab.find(text.substr(at, end - at));
      if (id >= 0) best[end] = std::max(best[end], best[at] + double{vocab[id].score});
    }
    const std::size_t end = at + utf8_length(text.substr(at));
    if (vocab.find(text.substr(at, end - at)) < 0) best[end] = std::max(best[end], best[at] + unknown);
  }
  return best.back();
}

TEST(Unigram, NoOtherWayIsMoreProbable) {
  std::mt19937 random(5);
  const std::vector<std::string> letters = {"a", "b", " ", "\u00E9"};
  const auto random_text = [&](std::size_t most) {
    std::string text;
    for (std::size_t n = 1 + random() % most; n > 0; --n) text += letters[random() % letters.size()];
    return text;
  };
  for (int i = 0; i < 300; ++i) {
    std::vector<std::pair<std::string, float>> normal;
    for (int n = 0; n < 20; ++n)
      normal.emplace_back(random_text(4), -static_cast<float>(random() % 1000) / 100);
    const auto tokenizer = tokenizer_of(normal, kPlain);
    float least = 0;
    for (const auto& [bytes, score] : normal) least = std::min(least, score);
    const double unknown = double{least} - 10;
    const std::string text = random_text(30);
    double score = 0;
    std::string together;
    std::size_t unknown_bytes = 0;
    bool one_by_one = true;
    for (const TokenId id : tokenizer.encode(text)) {
      score += id == kUnk ? unknown : double{tokenizer.vocab()[id].score};
      together += tokenizer.decode(0, id);
      if (id == kUnk) one_by_one = false;
    }
    unknown_bytes = text.size() - together.size();
    if (!one_by_one) {
      EXPECT_GT(unknown_bytes, 0);  // runs of unknown characters hide how many they are
      continue;
    }
    EXPECT_EQ(together, text);
    EXPECT_NEAR(score, score_of_best(tokenizer.vocab(), text, unknown), 1e-6) << text;
  }
}

// A word's pieces do not change with what is in front of it, however long that is.
TEST(Unigram, LongTextsAreCutLikeShortOnes) {
  const auto tokenizer = tokenizer_of({{" a", -3}, {"b", -3}, {" ab", -5.9999995F}, {"c", -4}, {" ", -9}});
  const Ids once = tokenizer.encode("abcab");
  std::string text;
  Ids expected;
  for (int i = 0; i < 100000; ++i) {
    text += "abcab ";
    expected.insert(expected.end(), once.begin(), once.end());
  }
  EXPECT_TRUE(tokenizer.encode(text) == expected);
}

TEST(Unigram, RefusesTextsThatGrowWithoutEnd) {
  const test::CharsmapWriter writer({{"a", std::string(100, 'b')}, {"c", std::string(16, 'b')}});
  const auto tokenizer = tokenizer_of({{"b", -1}}, {.charsmap = Charsmap(writer.bytes())});
  EXPECT_EQ(tokenizer.encode("a").size(), 101);
  EXPECT_EQ(tokenizer.encode(std::string(10000, 'c')).size(), 160001);
  EXPECT_THROW(tokenizer.encode(std::string(10000, 'a')), std::length_error);
  EXPECT_THROW(tokenizer_of({{std::string(1025, 'a'), -1}}), std::invalid_argument);
}

TEST(Unigram, HostileScoresAndPiecesEnd) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float score : {kInfinity, -kInfinity, std::numeric_limits<float>::max(), 0.0F}) {
    const auto tokenizer =
        tokenizer_of({{"a", score}, {"aa", -score}, {"\xC3", score}, {"a\xC3", 1}}, kPlain);
    EXPECT_FALSE(tokenizer.encode("aa\u00E9\u00E9a\u00E9").empty());
  }
}

TEST(Unigram, AMebibyteOfOneCharacterIsQuickAndNeedsLittleStack) {
  std::vector<std::pair<std::string, float>> pieces = {{" ", -5}, {"-", -5}, {"\uAC00", -9}};
  for (const std::size_t length : {1u, 2u, 3u, 4u, 8u, 16u}) {
    pieces.emplace_back(std::string(length, 'a'), -5 - static_cast<float>(length) / 8);
  }
  for (const bool merge : {true, false}) {
    const auto tokenizer = tokenizer_of(pieces, {.space_prefix = true, .merge_spaces = merge});
    for (const char* unit : {"a", " ", "-", "\uAC00", "\u4E00", "\xFF", "a b"}) {
      std::string text;
      while (text.size() < std::size_t{1} << 20) text += unit;
      EXPECT_LT(test::best_seconds_on_small_stack([&] { tokenizer.encode(text); }), test::kMebibyteSeconds)
          << unit;
    }
  }
}

}  // namespace
}  // namespace llamajit::unigram_test
