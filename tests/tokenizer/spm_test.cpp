#include "tokenizer/spm.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/small_stack.h"
#include "tokenizer/utf8.h"

namespace llamajit::spm_test {
namespace {

using namespace std::string_literals;

// <unk>, <s>, </s>, the byte pieces at 3..258, then normal pieces.
Vocab make_vocab(const std::vector<std::pair<std::string, float>>& normal) {
  std::vector<Piece> pieces = {
      {"<unk>", 0, PieceKind::control}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back({std::string(1, static_cast<char>(byte)), 0, PieceKind::byte});
  }
  for (const auto& [bytes, score] : normal) pieces.push_back({bytes, score, PieceKind::normal});
  return Vocab(std::move(pieces));
}

std::string decode_all(const SpmTokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  for (std::size_t i = 1; i < ids.size(); ++i) text += tokenizer.decode(ids[i - 1], ids[i]);
  return text;
}

// The definition, word for word: the whole text is searched for the best pair before each merge.
std::vector<TokenId> encode_slowly(const Vocab& vocab, const std::string& text, bool llama2c) {
  struct Symbol {
    std::string bytes;
    TokenId id;  // -1: no piece
    bool merges;
  };
  const auto byte_id = [&](char byte) {
    const TokenId id = vocab.byte_piece(static_cast<std::uint8_t>(byte));
    return id >= 0 ? id : Vocab::kUnknown;
  };
  std::vector<Symbol> symbols;
  const std::string spaced = text.empty() ? "" : " " + text;
  for (std::size_t at = 0; at < spaced.size();) {
    const std::string character = spaced.substr(at, utf8_length(std::string_view(spaced).substr(at)));
    at += character.size();
    if (const TokenId id = vocab.find(character); id >= 0 || !llama2c) {
      symbols.push_back({character, id, true});
      continue;
    }
    for (const char byte : character) symbols.push_back({std::string(1, byte), byte_id(byte), false});
  }
  while (true) {
    float best_score = llama2c ? -1e10F : -std::numeric_limits<float>::infinity();
    std::size_t best = symbols.size();
    TokenId best_id = -1;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (!symbols[i].merges || !symbols[i + 1].merges) continue;
      const TokenId id = vocab.find(symbols[i].bytes + symbols[i + 1].bytes);
      if (id >= 0 && vocab[id].score > best_score) {
        best_score = vocab[id].score;
        best = i;
        best_id = id;
      }
    }
    if (best == symbols.size()) break;
    symbols[best] = {symbols[best].bytes + symbols[best + 1].bytes, best_id, true};
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  std::vector<TokenId> ids = {Vocab::kBos};
  for (const Symbol& symbol : symbols) {
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
    } else {
      for (const char byte : symbol.bytes) ids.push_back(byte_id(byte));
    }
  }
  return ids;
}

// Random texts over a small alphabet, so that they repeat themselves and merges compete.
class RandomTexts {
 public:
  explicit RandomTexts(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }

  std::string text(std::size_t n_characters) {
    static const std::vector<std::string> kAlphabet = {"a", "b",  "a", "c",    " ",
                                                       "é", "한", "😀", "\x80", "\0"s};
    std::string s;
    for (std::size_t i = 0; i < n_characters; ++i) s += kAlphabet[below(kAlphabet.size())];
    return s;
  }

  float score() {
    static const std::vector<float> kScores = {
        0.0F,   -0.0F,   1.0F,   -1.0F, -1.0F,
        -2.0F,  -3.5F,   1e-40F, -1e9F, -1e10F,
        -2e10F, -1e-40F, 100.0F, 2.0F,  std::numeric_limits<float>::quiet_NaN()};
    return kScores[below(kScores.size())];
  }

  // Single characters, and pieces grown by joining two that
  // are there, as training does, and some that aren't.
  Vocab vocab(std::size_t n_pieces) {
    std::vector<std::pair<std::string, float>> pieces;
    for (const char* character : {"a", "b", "c", " ", "é", "한"}) {
      if (below(8) != 0) pieces.emplace_back(character, score());
    }
    for (std::size_t i = 0; i < n_pieces; ++i) {
      const bool grow = below(4) != 0 && !pieces.empty();
      std::string bytes =
          grow ? pieces[below(pieces.size())].first + pieces[below(pieces.size())].first : text(1 + below(4));
      if (bytes.size() <= 24) pieces.emplace_back(std::move(bytes), score());
    }
    return make_vocab(pieces);
  }

 private:
  std::mt19937 random_;
};

class SpmRulesOf : public ::testing::TestWithParam<bool> {
 protected:
  static SpmTokenizer tokenizer(Vocab vocab) {
    return SpmTokenizer(std::move(vocab), {.llama2c = GetParam()});
  }
};

TEST_P(SpmRulesOf, EqualsTheSlowDefinitionOnRandomVocabulariesFullOfTies) {
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    RandomTexts random(seed);
    const SpmTokenizer spm = tokenizer(random.vocab(random.below(60)));
    for (int i = 0; i < 10; ++i) {
      const std::string text = random.text(random.below(80));
      const std::vector<TokenId> ids = spm.encode(text);
      ASSERT_EQ(ids, encode_slowly(spm.vocab(), text, GetParam()))
          << "seed " << seed << ", text " << i << ": " << text;
      ASSERT_EQ(decode_all(spm, ids), text) << "seed " << seed << ", text " << i;
    }
  }
}

TEST_P(SpmRulesOf, EqualsTheSlowDefinitionOnLongerTexts) {
  for (std::uint32_t seed = 1000; seed < 1020; ++seed) {
    RandomTexts random(seed);
    const SpmTokenizer spm = tokenizer(random.vocab(200));
    const std::string text = random.text(600) + std::string(300, 'a') + random.text(100);
    ASSERT_EQ(spm.encode(text), encode_slowly(spm.vocab(), text, GetParam())) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SpmRulesOf, ::testing::Bool(), [](const auto& instance) {
  return instance.param ? std::string("Llama2c") : std::string("SentencePiece");
});

TEST(Spm, MergesTheBestScoreFirstAndTheLeftmostOnATie) {
  const SpmTokenizer tokenizer(
      make_vocab({{" ", -9}, {"a", -9}, {"b", -9}, {"ab", -1}, {"ba", 0}, {"aa", -1}}));
  const TokenId space = 259, a = 260, b = 261, ab = 262, ba = 263, aa = 264;
  EXPECT_EQ(tokenizer.encode("aba", {.bos = false}), (std::vector<TokenId>{space, a, ba}));
  EXPECT_EQ(tokenizer.encode("aaa", {.bos = false}), (std::vector<TokenId>{space, aa, a}));
  EXPECT_EQ(tokenizer.encode("aab", {.bos = false}),
            (std::vector<TokenId>{space, aa, b}));  // a tie of aa and ab
  EXPECT_EQ(tokenizer.encode("cab", {.bos = false}), (std::vector<TokenId>{space, 3 + 'c', ab}));
}

TEST(Spm, TheEmptyTextHasNoTokensBesideBos) {
  const SpmTokenizer tokenizer(make_vocab({{" ", 0}}));
  EXPECT_EQ(tokenizer.encode(""), std::vector<TokenId>{Vocab::kBos});
  EXPECT_TRUE(tokenizer.encode("", {.bos = false}).empty());
}

TEST(Spm, ControlPiecesInTextArePlainText) {
  const SpmTokenizer tokenizer(make_vocab({{" ", 0}, {"<", 0}, {"s", 0}, {">", 0}, {"<s", 1}}));
  EXPECT_EQ(tokenizer.encode("<s>", {.bos = false}), (std::vector<TokenId>{259, 263, 262}));
  EXPECT_EQ(tokenizer.encode("</s>", {.bos = false}), (std::vector<TokenId>{259, 260, 3 + '/', 261, 262}));
}

TEST(Spm, BytePiecesNeverMerge) {
  // "é" is a piece, but not one for a single code point
  // look-up to miss: the text has its halves only by bytes.
  const SpmTokenizer tokenizer(make_vocab({{" ", 0}, {"xy", 5}, {" x", 5}, {"\xC3\xA9\xC3", 5}, {"é", 1}}));
  EXPECT_EQ(tokenizer.encode("xy", {.bos = false}), (std::vector<TokenId>{259, 3 + 'x', 3 + 'y'}));
  EXPECT_EQ(tokenizer.encode("\xC3\xA9\xC3", {.bos = false}), (std::vector<TokenId>{259, 263, 3 + 0xC3}));
}

TEST(Spm, WithoutABytePieceTheTokenIsUnknown) {
  const SpmTokenizer tokenizer(
      Vocab({{"<unk>", 0, PieceKind::control}, {"<s>", 0, PieceKind::control}, {"a", 0}, {" ", 0}}));
  EXPECT_EQ(tokenizer.encode("aéa"),
            (std::vector<TokenId>{Vocab::kBos, 3, 2, Vocab::kUnknown, Vocab::kUnknown, 2}));
}

TEST(Spm, AVocabularyOfNothingDoesNotCrash) {
  const SpmTokenizer tokenizer(Vocab(std::vector<Piece>{}));
  EXPECT_EQ(tokenizer.encode("a", {.bos = false}), (std::vector<TokenId>{Vocab::kUnknown, Vocab::kUnknown}));
  EXPECT_EQ(tokenizer.decode(Vocab::kBos, 0), "");
}

TEST(Spm, DecodeDropsOneSpaceAfterBosAndControlPieces) {
  const SpmTokenizer tokenizer(make_vocab({{" ", 0}, {"  a", 0}, {"b", 0}}));
  EXPECT_EQ(tokenizer.decode(Vocab::kBos, 259), "");
  EXPECT_EQ(tokenizer.decode(Vocab::kBos, 260), " a");
  EXPECT_EQ(tokenizer.decode(Vocab::kBos, 261), "b");
  EXPECT_EQ(tokenizer.decode(261, 260), "  a");
  EXPECT_EQ(tokenizer.decode(261, 3), "\0"s);
  EXPECT_EQ(tokenizer.decode(261, 3 + 0xFF), "\xFF");
  for (const TokenId control : {0, 1, 2}) EXPECT_EQ(tokenizer.decode(261, control), "");
}

TEST(Spm, DecodeOfAnIdOutsideTheVocabularyIsEmpty) {
  const SpmTokenizer tokenizer(make_vocab({}));
  for (const TokenId id :
       {-1, 259, std::numeric_limits<TokenId>::min(), std::numeric_limits<TokenId>::max()}) {
    EXPECT_EQ(tokenizer.decode(Vocab::kBos, id), "");
    EXPECT_EQ(tokenizer.decode(id, 3 + 'a'), "a");
  }
}

// GGUF's vocabularies: special pieces have names that are looked for in text.
class SpmWithSpecialPieces : public ::testing::Test {
 protected:
  static Vocab vocab(SpecialTokens special = {.spelled_in_text = true}) {
    return Vocab({{"<unk>", 0, PieceKind::unknown},
                  {"<s>", 0, PieceKind::control},
                  {"</s>", 0, PieceKind::control},
                  {" ", -1},
                  {"a", -1},
                  {"b", -1},
                  {" a", -1},
                  {"<", -1},
                  {"s", -1},
                  {">", -1},
                  {"<x>", -1, PieceKind::user_defined},
                  {"<x>a", -1, PieceKind::user_defined},
                  {"ab", 0, PieceKind::unused}},
                 std::move(special));
  }
  static constexpr TokenId kSpace = 3, kA = 4, kB = 5, kSpaceA = 6, kX = 10, kXa = 11;
};

TEST_F(SpmWithSpecialPieces, UserDefinedPiecesAreFoundFirst) {
  const SpmTokenizer tokenizer(vocab(), {.llama2c = false});
  EXPECT_EQ(tokenizer.encode("a<x>b"), (std::vector<TokenId>{1, kSpaceA, kX, kSpace, kB}));
  EXPECT_EQ(tokenizer.encode("<x>aa"), (std::vector<TokenId>{1, kXa, kSpaceA})) << "the longest";
  EXPECT_EQ(tokenizer.encode("<x><x>"), (std::vector<TokenId>{1, kX, kX}));
  EXPECT_EQ(tokenizer.decode(kA, kX), "<x>");
}

TEST_F(SpmWithSpecialPieces, ControlPiecesAreFoundWhereAskedFor) {
  const SpmTokenizer tokenizer(vocab(), {.llama2c = false});
  EXPECT_EQ(tokenizer.encode("<s>a", {.bos = false, .special = true}), (std::vector<TokenId>{1, kSpaceA}));
  EXPECT_EQ(tokenizer.encode("a</s>", {.special = true}), (std::vector<TokenId>{1, kSpaceA, 2}));
  EXPECT_EQ(tokenizer.encode("<unk>", {.bos = false, .special = true}), (std::vector<TokenId>{0}));
  EXPECT_EQ(tokenizer.encode("<s>", {.bos = false}), (std::vector<TokenId>{kSpace, 7, 8, 9}));
  const SpmTokenizer unspelled(vocab({}), {.llama2c = false});
  EXPECT_EQ(unspelled.encode("<s>", {.bos = false, .special = true}),
            (std::vector<TokenId>{kSpace, 7, 8, 9}));
}

TEST_F(SpmWithSpecialPieces, UnusedPiecesAreNeverMergedTo) {
  const SpmTokenizer tokenizer(vocab(), {.space_prefix = false, .llama2c = false});
  EXPECT_EQ(tokenizer.encode("ab", {.bos = false}), (std::vector<TokenId>{kA, kB}));
}

TEST_F(SpmWithSpecialPieces, TheSpaceInFrontIsUpToTheVocabulary) {
  const SpmTokenizer with(vocab(), {.space_prefix = true, .llama2c = false});
  const SpmTokenizer without(vocab(), {.space_prefix = false, .llama2c = false});
  EXPECT_EQ(with.encode("a a"), (std::vector<TokenId>{1, kSpaceA, kSpaceA}));
  EXPECT_EQ(without.encode("a a"), (std::vector<TokenId>{1, kA, kSpaceA}));
  EXPECT_EQ(with.decode(1, kSpaceA), "a");
  EXPECT_EQ(without.decode(1, kSpaceA), " a");
}

TEST_F(SpmWithSpecialPieces, AVisibleSpaceIsASpaceInSentencePiecesVocabularies) {
  const SpmTokenizer tokenizer(vocab(), {.llama2c = false});
  EXPECT_EQ(tokenizer.encode("a\u2581a\u2581"), tokenizer.encode("a a "));
}

TEST_F(SpmWithSpecialPieces, BosAndEosStandWhereTheVocabularyWantsThem) {
  const SpmTokenizer tokenizer(vocab({.ends = {2}, .add_bos = false, .add_eos = true}), {.llama2c = false});
  EXPECT_EQ(tokenizer.encode("a"), (std::vector<TokenId>{kSpaceA, 2}));
  EXPECT_EQ(tokenizer.encode("a", {.eos = false}), (std::vector<TokenId>{kSpaceA}));
  EXPECT_EQ(tokenizer.encode(""), (std::vector<TokenId>{2}));
  const SpmTokenizer none(vocab({.bos = -1, .ends = {}, .add_bos = true, .add_eos = true}),
                          {.llama2c = false});
  EXPECT_EQ(none.encode("a"), (std::vector<TokenId>{kSpaceA})) << "there are none to add";
}

TEST(Vocab, FindsTheLowerIdAndNoEmptyPiece) {
  const Vocab vocab = make_vocab({{"ab", 1}, {"ab", 2}, {"", 0}, {"a", 1}, {"a", 2}});
  EXPECT_EQ(vocab.find("ab"), 259);
  EXPECT_EQ(vocab.find("a"), 262);
  EXPECT_EQ(vocab.find(""), -1);
  EXPECT_EQ(vocab.find("<s>"), -1);
  EXPECT_EQ(vocab.find("b"), -1);
}

TEST(Vocab, SurvivesAMove) {
  Vocab vocab = make_vocab({{"ab", 1}});
  const Vocab moved = std::move(vocab);
  EXPECT_EQ(moved.find("ab"), 259);
}

TEST(Vocab, RefusesABytePieceThatIsNoByte) {
  EXPECT_THROW(Vocab({{"<0x-1>", 0, PieceKind::byte}}), std::invalid_argument);
  EXPECT_THROW(Vocab({{"", 0, PieceKind::byte}}), std::invalid_argument);
}

TEST(Spm, AMebibyteOfOneCharacterIsQuickAndNeedsLittleStack) {
  std::vector<std::pair<std::string, float>> pieces = {{" ", -1e9F}, {"a", -50}};
  // Like the runs of dots and dashes in real vocabularies: lengths that double, and some in between.
  for (const std::size_t length : {2u, 3u, 4u, 8u, 16u, 32u, 64u}) {
    pieces.emplace_back(std::string(length, 'a'), length == 3 ? -7.0F : -static_cast<float>(length));
  }
  const SpmTokenizer tokenizer(make_vocab(pieces));
  const std::string text(std::size_t{1} << 20, 'a');
  std::vector<TokenId> ids;
  const double best_seconds = test::best_seconds_on_small_stack([&] { ids = tokenizer.encode(text); });
  EXPECT_EQ(ids.size(), 2 + (std::size_t{1} << 20) / 64);
  EXPECT_EQ(decode_all(tokenizer, ids), text);
  EXPECT_LT(best_seconds, test::kMebibyteSeconds);
  RecordProperty("milliseconds", std::to_string(best_seconds * 1e3));
}

}  // namespace
}  // namespace llamajit::spm_test
