// Greedy tokenisation, by examples.
#include "tokenizer/greedy.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/files/tokenizer_bin.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_data.h"

namespace llamajit::greedy_test {
namespace {

using Ids = std::vector<TokenId>;

Vocab vocab_of(const std::vector<std::string>& texts, bool with_bytes) {
  std::vector<Piece> pieces{
      {"<unk>", 0, PieceKind::unknown}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
  for (int byte = 0; with_bytes && byte < 256; ++byte) {
    pieces.push_back({std::string(1, static_cast<char>(byte)), 0, PieceKind::byte});
  }
  for (const std::string& text : texts) pieces.push_back({text, 0, PieceKind::normal});
  return Vocab(std::move(pieces));
}

TEST(GreedyTokenizer, TakesTheLongestPieceAtEachPlace) {
  const GreedyTokenizer tokenizer(vocab_of({" ", "a", "b", "ab", "abc", "bcd", "d"}, false));
  EXPECT_EQ(tokenizer.encode("abcd"), (Ids{1, 3, 7, 9})) << "abc d, though a bcd would do";
  EXPECT_EQ(tokenizer.encode("bcdab"), (Ids{1, 3, 8, 6}));
  EXPECT_EQ(tokenizer.encode(""), (Ids{1}));
  EXPECT_EQ(tokenizer.encode("ab", {.bos = false}), (Ids{3, 6}));
  const GreedyTokenizer with_spaces(vocab_of({" ", "a", " a"}, false));
  EXPECT_EQ(with_spaces.encode("a a"), (Ids{1, 5, 5})) << "the space in front is part of a piece";
}

TEST(GreedyTokenizer, BytesStandInForWhatNoPieceCovers) {
  const GreedyTokenizer with_bytes(vocab_of({"a", "한"}, true));
  EXPECT_EQ(with_bytes.encode("a한글"), (Ids{1, 3 + ' ', 259, 260, 3 + 0xEA, 3 + 0xB8, 3 + 0x80}));
  // A character that has a piece of its own is not a byte.
  EXPECT_EQ(with_bytes.encode("aba", {.bos = false}), (Ids{3 + ' ', 259, 3 + 'b', 259}));
  // Where there is none, too, nothing of the text is dropped without a trace.
  const GreedyTokenizer without(vocab_of({" ", "a"}, false));
  EXPECT_EQ(without.encode("aéa"), (Ids{1, 3, 4, 0, 0, 4}));
}

TEST(GreedyTokenizer, ControlPiecesAreNotFoundInText) {
  const GreedyTokenizer tokenizer(vocab_of({" "}, true));
  EXPECT_EQ(tokenizer.encode("</s>", {.special = true}), (Ids{1, 259, 3 + '<', 3 + '/', 3 + 's', 3 + '>'}));
}

TEST(GreedyTokenizer, DecodesWhatItEncoded) {
  const GreedyTokenizer tokenizer(vocab_of({" ", "a", " a", "한"}, true));
  const std::string text = "a 한글\n\xFF a";
  std::string decoded;
  TokenId previous = -1;
  for (const TokenId id : tokenizer.encode(text)) {
    decoded += tokenizer.decode(previous, id);
    previous = id;
  }
  EXPECT_EQ(decoded, text);
}

TEST(GreedyTokenizer, TakesTimeInProportion) {
  std::vector<std::string> texts;
  for (std::size_t n = 1; n <= 64; n *= 2) texts.emplace_back(n, 'x');
  const GreedyTokenizer tokenizer(vocab_of(texts, true));
  const std::string text(1 << 20, 'x');
  std::size_t count = 0;
  EXPECT_LT(test::best_seconds_on_small_stack([&] { count = tokenizer.encode(text).size(); }),
            test::kMebibyteSeconds);
  EXPECT_EQ(count, 2 + (1 << 20) / 64);
}

// LLaMA's vocabulary. Both ways of tokenising agree on plain text mostly.
TEST(GreedyTokenizer, KnowsLlamasVocabulary) {
  const std::string path = test::test_data("tokenizer.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  const GreedyTokenizer tokenizer(read_tokenizer_bin(path, 32000));
  EXPECT_EQ(tokenizer.encode("I believe the meaning of life is"),
            (Ids{1, 306, 4658, 278, 6593, 310, 2834, 338}));
}

}  // namespace
}  // namespace llamajit::greedy_test
