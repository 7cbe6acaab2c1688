#include "runtime/draft/ngram_drafter.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/draft/ngram_file.h"
#include "tests/support/temp_file.h"

namespace llamajit::ngram_drafter_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Text = std::vector<TokenId>;

class NoForesight : public Foresight {
 public:
  TokenId choose(std::span<float> /*logits*/) override { return -1; }
  bool accept(TokenId /*token*/) override { return true; }
};

Text draft(NgramDrafter& drafter, const Text& text, std::size_t most) {
  NoForesight foresight;
  drafter.begin(text);
  Text tokens;
  while (tokens.size() < most) {
    const auto guess = drafter.next(foresight);
    if (!guess) break;
    tokens.push_back(guess->token);
  }
  return tokens;
}

TEST(NgramDrafter, GoesOnAsTheTextDidBefore) {
  NgramDrafter drafter;
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 9, 1, 2}, 3), ElementsAre(3, 4, 5));
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 9, 1, 2, 3, 8}, 3), IsEmpty());
}

TEST(NgramDrafter, GoesOnBehindATokenThatIsAnother) {
  NgramDrafter drafter;
  Text text;
  for (TokenId token = 1; token <= 20; ++token) text.push_back(token);
  for (TokenId token = 1; token <= 10; ++token) text.push_back(token);
  EXPECT_THAT(draft(drafter, text, 2), ElementsAre(11, 12));
  text.insert(text.end(), {11, 99});
  EXPECT_THAT(draft(drafter, text, 3), ElementsAre(13, 14, 15));
  text.insert(text.end(), {13, 98});
  EXPECT_THAT(draft(drafter, text, 1), IsEmpty()) << "too much is another";
  text.insert(text.end(), {15, 16});
  EXPECT_THAT(draft(drafter, text, 2), ElementsAre(17, 18)) << "as by the last two tokens";
}

TEST(NgramDrafter, ForgetsWhatItFollowedWhereTheTextIsAnother) {
  NgramDrafter drafter(std::make_shared<const TokenHistory>(Text{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 6, 7, 8}, 1), ElementsAre(9));
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 6, 7, 8, 90}, 1), ElementsAre(10));
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 6, 7, 8}, 1), ElementsAre(9));
  EXPECT_THAT(draft(drafter, {5, 4, 3, 2, 7, 8, 90}, 1), IsEmpty());
  EXPECT_THAT(draft(drafter, {1, 2, 3, 4, 5, 6, 7, 8, 90, 91}, 1), IsEmpty()) << "at its end";
}

TEST(NgramDrafter, GoesOnWithItsOwnDraftWhereTheTextRepeatsItself) {
  NgramDrafter drafter;
  EXPECT_THAT(draft(drafter, {1, 2, 3, 1, 2, 3}, 8), ElementsAre(1, 2, 3, 1, 2, 3, 1, 2));
}

TEST(NgramDrafter, AnotherTextIsTakenWhereMoreOfItIsAlike) {
  NgramDrafter drafter(std::make_shared<const TokenHistory>(Text{5, 1, 2, 7, 8}));
  EXPECT_THAT(draft(drafter, {4, 1, 2, 3, 1, 2}, 2), ElementsAre(3, 1)) << "equally long: its own";
  EXPECT_THAT(draft(drafter, {4, 1, 2, 3, 5, 1, 2}, 9), ElementsAre(7, 8)) << "to that text's end";
}

TEST(NgramDrafter, IsSurerTheLongerTheMatch) {
  Text text;
  for (int i = 0; i < 80; ++i) text.push_back(i % 40);
  NgramDrafter drafter;
  NoForesight foresight;
  std::size_t least = 0;
  for (std::size_t length = 42; length <= text.size(); ++length) {
    drafter.begin(std::span(text).first(length));
    const auto guess = drafter.next(foresight);
    ASSERT_TRUE(guess) << length;
    EXPECT_GE(guess->sureness, least);
    least = guess->sureness;
  }
  EXPECT_EQ(least, Guess::kSureness - 1);
}

class NgramFile : public ::testing::Test {
 protected:
  static Vocab vocab(const char* last) { return Vocab({{"<unk>"}, {"<s>"}, {"</s>"}, {"a"}, {"b"}, {last}}); }
  static std::string content(const Text& tokens, const Vocab& of) {
    std::string bytes;
    write_ngrams(tokens, of, [&](std::span<const std::byte> part) {
      bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
    });
    return bytes;
  }
  static std::string error(const std::string& bytes, const Vocab& of) {
    const test::TempFile file(bytes);
    try {
      read_ngrams(file.path(), of);
    } catch (const std::runtime_error& what) {
      EXPECT_THAT(what.what(), HasSubstr(file.path()));
      return what.what();
    }
    return "none";
  }
};

TEST_F(NgramFile, HoldsATextsTokens) {
  for (const Text& tokens : {Text{3, 4, 5, 3}, Text{}}) {
    const test::TempFile file(content(tokens, vocab("c")));
    EXPECT_THAT(read_ngrams(file.path(), vocab("c"))->tokens(), ::testing::ElementsAreArray(tokens));
  }
}

TEST_F(NgramFile, OfAnotherVocabularyIsRefused) {
  EXPECT_THAT(error(content({3, 4}, vocab("c")), vocab("d")), HasSubstr("vocabulary: expected the model's"));
}

TEST_F(NgramFile, DamageIsRefusedWhereverItIs) {
  const std::string whole = content({3, 4, 5}, vocab("c"));
  for (std::size_t length = 1; length < whole.size(); ++length) {
    EXPECT_NE(error(whole.substr(0, length), vocab("c")), "none") << length;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    EXPECT_NE(error(damaged, vocab("c")), "none") << at;
  }
  EXPECT_THAT(error(whole + "more", vocab("c")),
              HasSubstr("tokens: expected as many as 16 bytes hold, found 3"));
}

}  // namespace
}  // namespace llamajit::ngram_drafter_test
