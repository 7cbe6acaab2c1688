#include "tokenizer/word_piece.h"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/small_stack.h"

namespace llamajit::word_piece_test {
namespace {

using Ids = std::vector<TokenId>;
using Words = std::vector<std::string>;

constexpr TokenId kUnk = 0;
constexpr TokenId kCls = 1;
constexpr TokenId kSep = 2;

Vocab make_vocab(const std::vector<std::string>& normal) {
  std::vector<Piece> pieces = {
      {"[UNK]", 0, PieceKind::unknown}, {"[CLS]", 0, PieceKind::control}, {"[SEP]", 0, PieceKind::control}};
  for (const std::string& bytes : normal) pieces.push_back({bytes});
  return Vocab(std::move(pieces),
               {.unknown = kUnk, .bos = kCls, .ends = {kSep}, .add_eos = true, .spelled_in_text = true});
}

WordPieceTokenizer tokenizer_of(const std::vector<std::string>& normal, BertRules rules = {}) {
  return WordPieceTokenizer(make_vocab(normal), rules);
}

Words words(std::string_view text, BertRules rules = {}) {
  Words result;
  for_each_bert_word(text, rules, [&](BertWord word) { result.emplace_back(word.bytes); });
  return result;
}

TEST(WordPiece, TakesTheLongestPieceAtEachPlace) {
  const auto tokenizer = tokenizer_of({" un", "aff", "able", " unaf", " u", "a", "f", "b", "l", " able"});
  EXPECT_EQ(tokenizer.encode("unaffable able"), (Ids{kCls, 6, 9, 5, 12, kSep}));
  EXPECT_EQ(tokenizer.encode(""), (Ids{kCls, kSep}));
  EXPECT_EQ(tokenizer.encode(" \n"), (Ids{kCls, kSep}));
  EXPECT_EQ(tokenizer.encode("un", {.bos = false, .eos = false}), (Ids{3}));
}

// It goes on greedily where another way would have led to the end.
TEST(WordPiece, AWordThatIsNotCoveredIsUnknown) {
  const auto tokenizer = tokenizer_of({" ab", "c", " a", "bc", "d"});
  EXPECT_EQ(tokenizer.encode("abd abe bc ad"), (Ids{kCls, 3, 7, kUnk, kUnk, 5, 7, kSep}));
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{kCls, 3, 4, kSep}));
  const WordPieceTokenizer none(Vocab({{" a"}}, {.unknown = -1, .bos = -1, .ends = {}}));
  EXPECT_EQ(none.encode("a b a"), (Ids{0, 0}));
}

TEST(WordPiece, AWordOfMoreThanAHundredCharactersIsUnknown) {
  const auto tokenizer =
      tokenizer_of({" \u00E9", "\u00E9", " a", "a"}, {.lowercase = true, .strip_accents = false});
  std::string word;
  for (int i = 0; i < 100; ++i) word += "\u00C9";
  EXPECT_EQ(tokenizer.encode(word).size(), 102);
  EXPECT_EQ(tokenizer.encode(word + "\u00E9 a"), (Ids{kCls, kUnk, 5, kSep}));
}

// What HuggingFace's bertNormalizer and bertPreTokenizer (tokenizers 0.6.0 of npm's @anush008) make of them.
TEST(WordPiece, CutsWordsAsBertDoes) {
  EXPECT_EQ(words("Hello, WORLD!?"), (Words{"hello", ",", "world", "!", "?"}));
  EXPECT_EQ(words("a\tb\nc\rd\u3000e\u00A0f\u2028g"), (Words{"a", "b", "c", "d", "e", "f", "g"}));
  EXPECT_EQ(words("a\vb\fc\x01"
                  "d\x7F"
                  "e\u0085f"),
            (Words{"abcdef"}))
      << "control characters";
  EXPECT_EQ(words("a\u200Bb\u00ADc\uE000d\uFEFFe\u180Ef"), (Words{"abcdef"})) << "format, private";
  EXPECT_EQ(words("a\uFFFDb\xFF"
                  "c\xE4\xBA"),
            (Words{"abc"}))
      << "no text";
  EXPECT_EQ(words("a\u0378b\U0001FAE9c"), (Words{"a\u0378b\U0001FAE9c"})) << "not assigned, or newer";
  EXPECT_EQ(words("\u00C9te\u0301 \u1EA4 \u01D5"), (Words{"ete", "a", "u"}));
  EXPECT_EQ(words("\u0915\u093E\u0902 \u0905\u0903a\u20DD"), (Words{"\u0915\u093E", "\u0905\u0903a\u20DD"}))
      << "marks with a width stay";
  EXPECT_EQ(words("\u6F22\u5B57a\uF900b\U0002B820c\U0002B920"),
            (Words{"\u6F22", "\u5B57", "a", "\u8C48", "b\U0002B820c", "\U0002B920"}));
  EXPECT_EQ(words("\uAC00"), (Words{"\u1100\u1161"}));
  EXPECT_EQ(words("a$b+c\u20ACd\u00A7e\u2260f"),
            (Words{"a", "$", "b", "+", "c\u20ACd", "\u00A7", "e", "=", "f"}));
  EXPECT_EQ(words("\u0130\u0391\u03A3"), (Words{"i\u03B1\u03C3"}));
  const BertRules cased{.lowercase = false, .strip_accents = false};
  EXPECT_EQ(words("\u00C9te\u0301 \uAC00,", cased), (Words{"\u00C9te\u0301", "\uAC00", ","}));
  EXPECT_EQ(words("\u0130\u00C9", {.lowercase = true, .strip_accents = false}), (Words{"i\u0307\u00E9"}));
  EXPECT_EQ(words("\u0130\u00C9", {.lowercase = false, .strip_accents = true}), (Words{"IE"}));
}

TEST(WordPiece, SpecialPiecesAreFoundWhereTheyAreSpelled) {
  const auto tokenizer = tokenizer_of({" a", "b", " [", " ]", " sep"});
  EXPECT_EQ(tokenizer.encode("a[SEP]ab", {.special = true}), (Ids{kCls, 3, kSep, 3, 4, kSep}));
  EXPECT_EQ(tokenizer.encode("a[SEP]ab"), (Ids{kCls, 3, 5, 7, 6, 3, 4, kSep}));
}

TEST(WordPiece, FirstWordHasNoSpace) {
  const auto tokenizer = tokenizer_of({" a", "b"});
  std::string text;
  TokenId previous = -1;
  for (const TokenId id : tokenizer.encode("ab x a"))
    text += tokenizer.decode(std::exchange(previous, id), id);
  EXPECT_EQ(text, "ab a");
}

TEST(WordPiece, KnowsVocabulariesWithCapitals) {
  EXPECT_FALSE(has_capitals(make_vocab({" a", "b"}))) << "control pieces do not count";
  EXPECT_TRUE(has_capitals(make_vocab({" a", " A"})));
  std::vector<std::string> many(150, "a");
  many.emplace_back("B");
  EXPECT_FALSE(has_capitals(make_vocab(many)));
}

TEST(WordPiece, RefusesPiecesOfAnyLength) {
  EXPECT_EQ(tokenizer_of({" a" + std::string(1022, 'a')}).encode("a").size(), 3);
  EXPECT_THROW(tokenizer_of({std::string(1025, 'a')}), std::invalid_argument);
}

TEST(WordPiece, AMebibyteOfOneCharacterIsQuickAndNeedsLittleStack) {
  const auto tokenizer = tokenizer_of({" a", "a", "aa", "aaaaaaaa", " -", " \u4E00"});
  for (const char* unit : {"a", " ", "-", "\u4E00", "\u0301", "\uAC00", "\xFF", "\u00C9", "a "}) {
    std::string text;
    while (text.size() < std::size_t{1} << 20) text += unit;
    EXPECT_LT(test::best_seconds_on_small_stack([&] { tokenizer.encode(text); }), test::kMebibyteSeconds)
        << unit;
  }
}

}  // namespace
}  // namespace llamajit::word_piece_test
