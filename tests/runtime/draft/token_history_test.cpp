#include "runtime/draft/token_history.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::token_history_test {
namespace {

using Text = std::vector<TokenId>;

// The longest match by trying every place, and how many there are of it.
std::optional<TokenHistory::Match> find_slowly(const Text& tokens, const Text& text) {
  std::optional<TokenHistory::Match> best;
  for (std::size_t end = 1; end < tokens.size(); ++end) {
    std::size_t length = 0;
    while (length < end && length < text.size() && length < TokenHistory::kMostLength &&
           tokens[end - 1 - length] == text[text.size() - 1 - length]) {
      ++length;
    }
    const bool counts = length >= TokenHistory::kLeastLength;
    if (!counts || (best && static_cast<int>(length) < best->length)) continue;
    const bool longer = !best || static_cast<int>(length) > best->length;
    best = {end, static_cast<int>(length), 1, longer ? 1 : best->places + 1};
  }
  return best;
}

TEST(TokenHistory, FindsNothingWhereNothingIsAlike) {
  EXPECT_FALSE(TokenHistory().find(Text{1, 2}));
  EXPECT_FALSE(TokenHistory(Text{1, 2, 3}).find(Text{3})) << "one token is no match";
  EXPECT_FALSE(TokenHistory(Text{1, 2, 3}).find(Text{2, 3})) << "nothing is behind it";
  EXPECT_FALSE(TokenHistory(Text{1, 2, 3}).find(Text{3, 2}));
}

TEST(TokenHistory, TakesTheLongestMatchAndOfEqualOnesTheLast) {
  const TokenHistory history(Text{7, 1, 2, 3, 1, 2, 4, 1, 2, 5});
  EXPECT_EQ(history.find(Text{7, 1, 2})->position, 3U);
  EXPECT_EQ(history.find(Text{7, 1, 2})->length, 3);
  EXPECT_EQ(history.find(Text{9, 1, 2})->position, 9U);
  EXPECT_EQ(history.find(Text{9, 1, 2})->length, 2);
}

TEST(TokenHistory, OfEquallyLongMatchesTakesWhatMostHaveBehindThem) {
  const TokenHistory history(Text{1, 2, 5, 1, 2, 6, 1, 2, 5, 1, 2, 7, 0});
  const auto found = history.find(Text{9, 1, 2});
  EXPECT_EQ(found->position, 8U) << "the later of the two places with 5";
  EXPECT_EQ(found->agreeing, 2);
  EXPECT_EQ(found->places, 4);
}

// Of a dozen tokens there are few pairs, and so more places than are looked at; of many there are fewer.
TEST(TokenHistory, IsWhatTryingEveryPlaceFinds) {
  std::mt19937 random(1);
  for (const unsigned vocab : {12U, 40U, 400U}) {
    TokenHistory history;
    Text text;
    for (int i = 0; i < 600; ++i) {
      const bool repeats = text.size() > 50 && random() % 4 > 0;
      text.push_back(repeats ? text[text.size() - 37] : static_cast<TokenId>(random() % vocab));
      history.follow(text);
      const auto found = history.find(text), expected = find_slowly(text, text);
      ASSERT_EQ(found.has_value(), expected.has_value()) << i;
      if (!found) continue;
      ASSERT_LE(found->length, expected->length);
      ASSERT_EQ(text[found->position - 1], text.back());
      if (vocab == 12U) continue;  // the longest may be too far back
      ASSERT_EQ(found->length, expected->length) << i;
      ASSERT_EQ(found->places, expected->places) << i;
      ASSERT_LE(found->agreeing, found->places) << i;
    }
  }
}

TEST(TokenHistory, FollowsATextThatBecomesAnother) {
  TokenHistory history(Text{1, 2, 3, 1, 2});
  history.follow(Text{1, 2, 4, 1, 2});
  EXPECT_EQ(history.find(Text{1, 2})->position, 2U);
  EXPECT_FALSE(history.find(Text{2, 3}));
  history.follow(Text{1, 2});
  EXPECT_FALSE(history.find(Text{1, 2}));
}

}  // namespace
}  // namespace llamajit::token_history_test
