#include "tokenizer/bpe.h"

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sanitized.h"
#include "tests/support/small_stack.h"
#include "tokenizer/byte_level.h"

namespace llamajit::bpe_test {
namespace {

using Ids = std::vector<TokenId>;

// A byte as byte-level vocabularies write it.
std::string written(std::uint8_t byte) {
  for (unsigned code_point = 0x21; code_point < 0x144; ++code_point) {
    std::string text;
    if (code_point < 0x80) {
      text = static_cast<char>(code_point);
    } else {
      text = {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
    }
    if (bytes_of_byte_level(text) == std::string(1, static_cast<char>(byte))) return text;
  }
  return {};
}

std::string written(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += written(static_cast<std::uint8_t>(byte));
  return text;
}

TEST(ByteLevel, EveryByteHasACharacter) {
  for (int byte = 0; byte < 256; ++byte) EXPECT_NE(written(static_cast<std::uint8_t>(byte)), "") << byte;
  EXPECT_EQ(bytes_of_byte_level("ĠHello"), " Hello");
  EXPECT_EQ(bytes_of_byte_level("ĊĉÃ©"), "\n\té");
  EXPECT_EQ(bytes_of_byte_level(""), "");
}

TEST(ByteLevel, OtherCharactersStandForNone) {
  for (const char* text : {" ", "\n", "a b", "한", "\u0144", "\u00AD", "\u007F", "🦙", "\x80", "a\xC4"}) {
    EXPECT_EQ(bytes_of_byte_level(text), std::nullopt) << text;
  }
}

using Merges = std::vector<std::pair<std::string, std::string>>;

// A tokenizer whose pieces are the single bytes (those of `missing` left out), at ids 0 and up, then what the
// merges make, unless it is in `unmade`.
struct Parts {
  Merges merges;
  std::string missing{};
  std::vector<std::string> unmade{};
  std::string_view rule = "gpt-2";
  SpecialTokens special{.unknown = -1, .bos = -1, .ends = {}};
};

std::vector<Piece> pieces_of(const Parts& parts) {
  std::vector<Piece> pieces;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    const bool there = parts.missing.find(bytes) == std::string::npos;
    pieces.push_back({there ? bytes : "", 0, there ? PieceKind::normal : PieceKind::unused});
  }
  for (const auto& [left, right] : parts.merges) {
    const std::string bytes = left + right;
    if (std::ranges::count(parts.unmade, bytes) == 0) pieces.push_back({bytes});
  }
  return pieces;
}

BpeTokenizer make(const Parts& parts) {
  std::vector<std::string> lines;
  for (const auto& [left, right] : parts.merges) lines.push_back(written(left) + " " + written(right));
  const std::vector<std::string_view> views(lines.begin(), lines.end());
  return {Vocab(pieces_of(parts), parts.special), views, *find_pre_tokenizer_rule(parts.rule)};
}

std::string decode_all(const Tokenizer& tokenizer, const Ids& ids) {
  std::string text;
  TokenId previous = -1;
  for (const TokenId id : ids) text += tokenizer.decode(std::exchange(previous, id), id);
  return text;
}

// The definition: in each word, the pair that comes first in the
// list is merged, the leftmost of them, until there is none.
Ids encode_slowly(const Vocab& vocab, const Parts& parts, const std::string& text) {
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (std::size_t i = 0; i < parts.merges.size(); ++i) ranks.emplace(parts.merges[i], i);
  Ids ids;
  const PreTokenizer pre_tokenizer(*find_pre_tokenizer_rule(parts.rule));
  pre_tokenizer.split(text, [&](std::string_view word) {
    std::vector<std::string> symbols;
    for (const char c : word) symbols.emplace_back(1, c);
    while (true) {
      std::size_t best = parts.merges.size();
      std::size_t at = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto rank = ranks.find({symbols[i], symbols[i + 1]});
        if (rank == ranks.end() || rank->second >= best) continue;
        best = rank->second;
        at = i;
      }
      if (best == parts.merges.size()) break;
      symbols[at] += symbols[at + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
    for (const std::string& symbol : symbols) {
      if (const TokenId id = vocab.find(symbol); id >= 0) {
        ids.push_back(id);
        continue;
      }
      for (const char c : symbol) {
        if (const TokenId id = vocab.find({&c, 1}); id >= 0) {
          ids.push_back(id);
        } else {
          ids.insert(ids.end(), {0xEF, 0xBF, 0xBD});  // U+FFFD, whose bytes no merge joins here
        }
      }
    }
  });
  return ids;
}

// Merges that compete: pieces of few letters, grown from each other, some made in two ways.
Parts random_parts(std::mt19937& random) {
  static const std::vector<std::string> kLetters = {"a", "b", "c", " ", "\xC3", "\xA9", "\xFF"};
  Parts parts;
  std::vector<std::string> made = kLetters;
  for (std::size_t n = random() % 40; n > 0; --n) {
    const std::string left = made[random() % made.size()];
    const std::string right = made[random() % made.size()];
    if (left.size() + right.size() > 8) continue;
    parts.merges.emplace_back(left, right);
    made.push_back(left + right);
    if (random() % 8 == 0) parts.unmade.push_back(left + right);
  }
  if (random() % 4 == 0) parts.missing = kLetters[random() % kLetters.size()];
  return parts;
}

TEST(Bpe, EqualsTheSlowDefinitionOnRandomVocabularies) {
  static const std::vector<std::string> kUnits = {"a", "b", "a", "c", " ", "é", "\xFF", "\xC3"};
  for (std::uint32_t seed = 0; seed < (test::kSanitized ? 300 : 1500); ++seed) {
    std::mt19937 random(seed);
    const Parts parts = random_parts(random);
    const BpeTokenizer tokenizer = make(parts);
    for (int i = 0; i < 10; ++i) {
      std::string text;
      for (std::size_t n = random() % 60; n > 0; --n) text += kUnits[random() % kUnits.size()];
      const Ids ids = tokenizer.encode(text);
      ASSERT_EQ(ids, encode_slowly(tokenizer.vocab(), parts, text)) << "seed " << seed << ": " << text;
      if (!parts.missing.empty()) continue;
      ASSERT_EQ(decode_all(tokenizer, ids), text) << "seed " << seed;
    }
  }
}

TEST(Bpe, MergesTheFirstOfTheListFirst) {
  const BpeTokenizer tokenizer = make({.merges = {{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"d", "d"}}});
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{258}));
  EXPECT_EQ(tokenizer.encode("aab"), (Ids{'a', 257}));
  EXPECT_EQ(tokenizer.encode("ddd"), (Ids{259, 'd'})) << "the leftmost";
  EXPECT_EQ(tokenizer.encode("d d"), (Ids{'d', ' ', 'd'})) << "never across words";
}

TEST(Bpe, AWordThatIsAPieceIsTakenWholeWhereTheVocabularyWantsIt) {
  // Nothing merges to "abc", but it is a piece.
  const Parts parts{.merges = {{"a", "b"}, {"abc", "d"}}};
  std::vector<Piece> pieces = pieces_of(parts);
  pieces.push_back({"abc"});
  const std::vector<std::string_view> merges{"a b"};
  const SpecialTokens none = parts.special;
  const BpeTokenizer gpt2(Vocab(pieces, none), merges, *find_pre_tokenizer_rule("gpt-2"));
  const BpeTokenizer llama3(Vocab(pieces, none), merges, *find_pre_tokenizer_rule("llama-bpe"));
  EXPECT_EQ(gpt2.encode("abc"), (Ids{256, 'c'}));
  EXPECT_EQ(llama3.encode("abc"), (Ids{258}));
  EXPECT_EQ(llama3.encode("abcx"), (Ids{256, 'c', 'x'}));
}

TEST(Bpe, WhatIsNoPieceIsUnknownIfThereIsOne) {
  EXPECT_EQ(make({.merges = {}, .missing = "x"}).encode("axb"), (Ids{'a', 0xEF, 0xBF, 0xBD, 'b'}));
  EXPECT_EQ(
      make({.merges = {}, .missing = "x", .special = {.unknown = 7, .bos = -1, .ends = {}}}).encode("axb"),
      (Ids{'a', 7, 'b'}));
}

// GPT-NeoX's and StarCoder's files say that <|endoftext|> stands for what is unknown.
TEST(Bpe, WhatIsNoPieceNeverBecomesAControlToken) {
  const Merges merges = {{"\xEF", "\xBF"}, {"\xEF\xBF", "\xBD"}};
  for (const PieceKind kind : {PieceKind::control, PieceKind::normal, PieceKind::unknown}) {
    std::vector<Piece> pieces = pieces_of({.merges = merges, .missing = "\xFF\xC0"});
    pieces.push_back({"<|endoftext|>", 0, kind});
    const std::string first = written("\xEF") + " " + written("\xBF");
    const std::string second = written("\xEF\xBF") + " " + written("\xBD");
    const std::vector<std::string_view> lines{first, second};
    const auto encode = [&](const SpecialTokens& special, const std::string& text) {
      return BpeTokenizer(Vocab(pieces, special), lines, *find_pre_tokenizer_rule("gpt-2"))
          .encode(text, {.bos = false, .eos = false});
    };
    // An end, a beginning, or only of that kind: U+FFFD, one for each byte, which the merges make 257.
    EXPECT_EQ(encode({.unknown = 258, .bos = -1, .ends = {258}}, "a\xFF\xC0"), (Ids{'a', 257, 257}));
    EXPECT_EQ(encode({.unknown = 258, .bos = 258, .ends = {}}, "a\xFF"), (Ids{'a', 257}));
    const bool may = kind != PieceKind::control;
    EXPECT_EQ(encode({.unknown = 258, .bos = -1, .ends = {}}, "\xFF"), (Ids{may ? 258 : 257}));
  }
}

TEST(Bpe, WithoutPiecesForTheReplacementCharacterUnknownBytesVanish) {
  const SpecialTokens special{.unknown = 'e', .bos = -1, .ends = {'e'}};
  EXPECT_EQ(make({.merges = {}, .missing = "\xFF", .special = special}).encode("\xFFx", {.eos = false}),
            (Ids{0xEF, 0xBF, 0xBD, 'x'}));
  EXPECT_EQ(make({.merges = {}, .missing = "\xFF\xBF", .special = special}).encode("\xFFx", {.eos = false}),
            (Ids{'x'}));
}

TEST(Bpe, TextIsNormalisedWhereTheModelsTokenizerDoesSo) {
  for (const PreTokenizerRule& rule : pre_tokenizer_rules()) {
    const BpeTokenizer tokenizer = make({.merges = {}, .rule = rule.name});
    const auto text_of = [&](std::string_view text, bool normalize) {
      return decode_all(tokenizer, tokenizer.encode(text, {.normalize = normalize}));
    };
    EXPECT_EQ(text_of("e\u0301 \u1100\u1161\xFF", true), rule.nfc ? "é 가\xFF" : "e\u0301 \u1100\u1161\xFF")
        << rule.name;
    EXPECT_EQ(text_of("e\u0301", false), "e\u0301") << rule.name;
  }
  for (const char* name :
       {"qwen2", "qwen35", "gpt-neox", "mpt", "olmo", "command-r", "stablelm2", "hunyuan", "modern-bert"}) {
    EXPECT_TRUE(find_pre_tokenizer_rule(name)->nfc) << name;
  }
  for (const char* name : {"gpt-2", "llama-bpe", "deepseek-v3", "deepseek-r1-qwen", "tekken"}) {
    EXPECT_FALSE(find_pre_tokenizer_rule(name)->nfc) << name;
  }
}

TEST(Bpe, NormalisingLeavesTheNamesOfSpecialTokensAlone) {
  std::vector<Piece> pieces = pieces_of({.merges = {}});
  pieces.push_back({"<e\u0301>", 0, PieceKind::control});
  pieces.push_back({"<\u00E9>", 0, PieceKind::user_defined});
  const BpeTokenizer tokenizer(Vocab(pieces, {.unknown = -1, .bos = -1, .ends = {}, .spelled_in_text = true}),
                               {}, *find_pre_tokenizer_rule("qwen2"));
  EXPECT_EQ(tokenizer.encode("<e\u0301>", {.special = true}), (Ids{256}));
  EXPECT_EQ(tokenizer.encode("<\u00E9>", {.special = true}), (Ids{257}));
  EXPECT_EQ(tokenizer.encode("<e\u0301>", {.special = false}), (Ids{'<', 0xC3, 0xA9, '>'}));
  EXPECT_EQ(tokenizer.encode("<\u00E9>\u0301"), (Ids{257, 0xCC, 0x81})) << "an accent composes with no token";
}

TEST(Bpe, SomeTokensTakeTheWhiteSpaceBesideThem) {
  std::vector<Piece> pieces = pieces_of({.merges = {}});
  pieces.push_back({"<after>", 0, PieceKind::control, false, true});
  pieces.push_back({"<before>", 0, PieceKind::user_defined, true, false});
  const BpeTokenizer tokenizer(Vocab(pieces, {.unknown = -1, .bos = -1, .ends = {}, .spelled_in_text = true}),
                               {}, *find_pre_tokenizer_rule("gpt-2"));
  const auto encode = [&](std::string_view text) { return tokenizer.encode(text, {.special = true}); };
  EXPECT_EQ(encode("a <after> \n\u00A0\u3000b "), (Ids{'a', ' ', 256, 'b', ' '}));
  EXPECT_EQ(encode(" a \t\u2028<before> b"), (Ids{' ', 'a', 257, ' ', 'b'}));
  EXPECT_EQ(encode("<after>  <before>  <after>"), (Ids{256, 257, ' ', ' ', 256}));
  EXPECT_EQ(encode(" \n "), (Ids{' ', '\n', ' '}));
  EXPECT_EQ(tokenizer.encode("<after> ", {.special = false}).size(), 8U) << "plain text keeps its space";
}

TEST(Bpe, MergesThatCanNeverApplyArePassedOver) {
  const std::vector<std::string_view> merges{"", " ", "a", "a ", "한 글", "a b c", "a b"};
  const BpeTokenizer tokenizer(Vocab(pieces_of({.merges = {{"a", "b"}}}), {.bos = -1, .ends = {}}), merges,
                               *find_pre_tokenizer_rule("gpt-2"));
  EXPECT_EQ(tokenizer.encode("ab"), (Ids{256}));
}

TEST(Bpe, SpecialPiecesAreFoundInTheTextAsItIs) {
  std::vector<Piece> pieces = pieces_of({.merges = {}});
  pieces.push_back({"<|end|>", 0, PieceKind::control});
  pieces.push_back({"   ", 0, PieceKind::user_defined});
  const BpeTokenizer tokenizer(
      Vocab(pieces, {.unknown = -1, .bos = 256, .ends = {256}, .add_eos = true, .spelled_in_text = true}), {},
      *find_pre_tokenizer_rule("gpt-2"));
  EXPECT_EQ(tokenizer.encode("a    b<|end|>", {.special = true}), (Ids{256, 'a', 257, ' ', 'b', 256, 256}));
  EXPECT_EQ(tokenizer.encode("<|", {.bos = false, .eos = false}), (Ids{'<', '|'}));
  EXPECT_EQ(decode_all(tokenizer, {256, ' ', 'a', 257}), " a   ") << "no space is dropped";
}

// Random bytes, well-formed or not, come back as they were.
TEST(Bpe, DecodesWhatItEncoded) {
  std::mt19937 random(3);
  const Parts parts{
      .merges = {{" ", "a"}, {"\xC3", "\xA9"}, {" a", "b"}, {"\xED", "\x95"}, {"\xED\x95", "\x9C"}}};
  for (const PreTokenizerRule& rule : pre_tokenizer_rules()) {
    Parts with_rule = parts;
    with_rule.rule = rule.name;
    const BpeTokenizer tokenizer = make(with_rule);
    for (int i = 0; i < 40; ++i) {
      std::string text;
      for (std::size_t n = random() % 60; n > 0; --n) {
        static const std::vector<std::string> kUnits = {" ab", "é", "한", "1", "\n", "🦙", "'s"};
        text += random() % 2 == 0 ? kUnits[random() % kUnits.size()]
                                  : std::string(1, static_cast<char>(random() % 256));
      }
      ASSERT_EQ(decode_all(tokenizer, tokenizer.encode(text)), text) << rule.name;
    }
  }
}

TEST(Bpe, AMebibyteOfOneCharacterIsQuickAndNeedsLittleStack) {
  Parts parts;
  // Like the runs in real vocabularies, whose lengths double.
  for (const char* letter : {"a", " ", "1", "\n"}) {
    for (std::string run = letter; run.size() < 64; run += run) parts.merges.emplace_back(run, run);
  }
  for (const char* rule : {"gpt-2", "llama-bpe", "qwen2", "starcoder"}) {
    parts.rule = rule;
    const BpeTokenizer tokenizer = make(parts);
    for (const char letter : {'a', ' ', '1', '\n'}) {
      const std::string text(std::size_t{1} << 20, letter);
      Ids ids;
      const double seconds = test::best_seconds_on_small_stack([&] { ids = tokenizer.encode(text); });
      EXPECT_EQ(decode_all(tokenizer, ids), text);
      EXPECT_LT(seconds, test::kMebibyteSeconds) << rule << ", '" << letter << "'";
      RecordProperty(std::string(rule) + "_" + std::to_string(letter), std::to_string(seconds * 1e3));
    }
  }
}

}  // namespace
}  // namespace llamajit::bpe_test
