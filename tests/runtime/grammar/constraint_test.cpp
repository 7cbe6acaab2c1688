#include "runtime/grammar/constraint.h"

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/json_schema.h"
#include "tests/runtime/grammar/naive_grammar.h"
#include "tests/support/sanitized.h"

namespace llamajit::constraint_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

// Ids from 3 on are these pieces.
Vocab vocab_of(const std::vector<std::string>& pieces) {
  std::vector<Piece> all{
      {"<unk>", 0, PieceKind::unknown}, {"<s>", 0, PieceKind::control}, {"</s>", 0, PieceKind::control}};
  for (const std::string& bytes : pieces) all.push_back({bytes});
  return Vocab(std::move(all));
}

Constraint constraint_of(const std::string& grammar, const Vocab& vocab) {
  return {parse_gbnf(grammar, "g"), std::make_shared<const TokenTrie>(vocab)};
}

std::vector<TokenId> allowed(Constraint& constraint, std::size_t logits_size) {
  std::vector<float> logits(logits_size, 0.5F);
  constraint.mask(logits);
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == 0.5F) {
      ids.push_back(static_cast<TokenId>(i));
    } else {
      EXPECT_EQ(logits[i], -std::numeric_limits<float>::infinity());
    }
  }
  return ids;
}

TEST(Constraint, AllowsTokensThatCanFollow) {
  const Vocab vocab = vocab_of({"a", "b", "ab", "abc", "c", "ba"});
  Constraint constraint = constraint_of(R"(root ::= "ab" "c"?)", vocab);
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(3, 5, 6));
  constraint.accept(3);
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(4));
  EXPECT_FALSE(constraint.may_end());
  constraint.accept(4);
  EXPECT_TRUE(constraint.may_end());
  EXPECT_FALSE(constraint.must_end());
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(1, 2, 7)) << "BOS and EOS end the text";
  constraint.accept(7);
  EXPECT_TRUE(constraint.must_end());
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(1, 2));
}

TEST(Constraint, EndsAreTheVocabularys) {
  std::vector<Piece> pieces{
      {"x"}, {"<end>", 0, PieceKind::user_defined}, {"y"}, {"<bos>", 0, PieceKind::control}};
  SpecialTokens special;
  special.bos = 3;
  special.ends = {1};
  special.bos_ends = false;
  const Vocab vocab(std::move(pieces), special);
  Constraint constraint = constraint_of(R"(root ::= ("x" | "<end>")*)", vocab);
  EXPECT_THAT(allowed(constraint, 4), ElementsAre(0, 1))
      << "BOS does not end this one; no text becomes <end>";
  constraint.accept(1);
  EXPECT_THAT(allowed(constraint, 4), ElementsAre(0, 1));
}

TEST(Constraint, TokensWithoutTextNeverFollow) {
  std::vector<Piece> pieces{{"<unk>", 0, PieceKind::unknown},
                            {"<s>", 0, PieceKind::control},
                            {"</s>", 0, PieceKind::control},
                            {"a", 0, PieceKind::unused},
                            {"a", 0, PieceKind::byte},
                            {"a", 0, PieceKind::user_defined},
                            {""}};
  const Vocab vocab(std::move(pieces));
  Constraint constraint = constraint_of(R"(root ::= "a" .*)", vocab);
  EXPECT_THAT(allowed(constraint, 7), ElementsAre(4, 5));
  for (const TokenId token : {0, 1, 2, 3, 6, -1, 7, 1000}) {
    EXPECT_THROW(constraint.accept(token), std::invalid_argument) << token;
  }
  constraint.accept(5);
  EXPECT_THAT(allowed(constraint, 7), ElementsAre(1, 2, 4, 5));
}

TEST(Constraint, LogitsMayBeMoreOrFewerThanTheVocabulary) {
  const Vocab vocab = vocab_of({"a", "b", "c"});
  Constraint constraint = constraint_of("root ::= [a-c]*", vocab);
  EXPECT_THAT(allowed(constraint, 200), ElementsAre(1, 2, 3, 4, 5)) << "what pads the vocabulary is no token";
  EXPECT_THAT(allowed(constraint, 5), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(allowed(constraint, 2), ElementsAre(1));
}

TEST(Constraint, CharactersMayBeSplitAmongTokens) {
  const Vocab vocab = vocab_of({"\xED", "\x95", "\x9C", "\x95\x9C", "\xA0", "\xED\x95"});
  Constraint constraint = constraint_of("root ::= [가-힣]+", vocab);
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(3, 8));
  constraint.accept(3);
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(4, 5, 6)) << "ED A0 would be a surrogate";
  constraint.accept(4);
  EXPECT_FALSE(constraint.may_end());
  EXPECT_THAT(allowed(constraint, 9), ElementsAre(4, 5, 7)) << "any byte of 80..BF ends it";
  constraint.accept(5);
  EXPECT_TRUE(constraint.may_end());
}

TEST(Constraint, ATokenThatMayNotFollowIsRefusedAndForgotten) {
  const Vocab vocab = vocab_of({"a", "b", "ab"});
  Constraint constraint = constraint_of(R"(root ::= "ab" "a")", vocab);
  EXPECT_THAT(
      [&] { constraint.accept(4); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("g: expected a token that may follow, found 4 ('b')")));
  EXPECT_THAT([&] { constraint.accept(2); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("expected more text, found its end")));
  constraint.accept(5);
  constraint.accept(3);
  EXPECT_TRUE(constraint.must_end());
  constraint.accept(2);
}

TEST(Constraint, SaysWhenTheVocabularyHasNothingThatFollows) {
  const Vocab vocab = vocab_of({"a"});
  Constraint constraint = constraint_of(R"(root ::= "a" "b")", vocab);
  constraint.accept(3);
  std::vector<float> logits(4);
  EXPECT_THAT([&] { constraint.mask(logits); },
              ThrowsMessage<std::runtime_error>(
                  HasSubstr("expected a token of the vocabulary that can follow, found none")));
}

TEST(Constraint, TextsThatShareMasksDoNotDisturbOneAnother) {
  const Vocab vocab = vocab_of({"(", ")", "x", "((", "))", ")x"});
  const auto masks = std::make_shared<Masks>(parse_gbnf(R"g(root ::= "(" root ")" | "x")g", "g"),
                                             std::make_shared<const TokenTrie>(vocab));
  Constraint one(masks), other(masks);
  one.accept(6);
  other.accept(3);
  one.accept(5);
  EXPECT_THAT(allowed(one, 9), ElementsAre(4, 7));
  other.accept(5);
  EXPECT_THAT(allowed(other, 9), ElementsAre(4)) << "one is open, so that two can't be closed";
  Constraint copy = one;
  copy.accept(7);
  EXPECT_TRUE(copy.must_end());
  EXPECT_FALSE(one.may_end());
}

// The bounds on depth show as tokens that don't follow, and the text can still be ended.
TEST(Constraint, DeepTextsCanStillEnd) {
  const Vocab vocab = vocab_of({"(", ")", "x", "(((((((("});
  Constraint constraint = constraint_of(R"g(root ::= "(" root ")" | "x")g", vocab);
  int depth = 0;
  for (; allowed(constraint, 7).front() == 3; ++depth) constraint.accept(3);
  EXPECT_GT(depth, 1000);
  EXPECT_THAT([&] { constraint.accept(3); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("beyond the bounds of depth")));
  constraint.accept(5);
  for (; depth > 0; --depth) constraint.accept(4);
  EXPECT_TRUE(constraint.must_end());
}

// What is kept stays within its bound, and what was dropped is found again.
TEST(Constraint, MasksStayWithinTheirBound) {
  std::vector<std::string> pieces;
  for (int i = 0; i < 4000; ++i) pieces.push_back(fmt::format("{}", i));
  const Vocab vocab = vocab_of(pieces);
  const auto trie = std::make_shared<const TokenTrie>(vocab);
  const auto grammar = parse_gbnf("root ::= [0-9]{300}", "g");
  constexpr std::size_t kBound = 20'000;
  Constraint free(grammar, trie);
  const auto masks = std::make_shared<Masks>(grammar, trie, Masks::Bounds{.masks = kBound});
  Constraint bound(masks);
  while (!free.must_end()) {
    std::vector<float> a(4003), b(4003);
    free.mask(a);
    bound.mask(b);
    ASSERT_EQ(a, b);
    EXPECT_LE(masks->cached_bytes(), kBound);
    free.accept(3 + 7);
    bound.accept(3 + 7);
  }
  EXPECT_TRUE(bound.must_end());
}

// An automaton that has grown beyond its bound is left for another; texts notice nothing.
TEST(Constraint, TextsMoveToANewAutomaton) {
  const Vocab vocab = vocab_of({"(", ")", "[", "]", "x", ",", "((", "))"});
  const auto masks = std::make_shared<Masks>(
      parse_gbnf("root ::= item (\",\" item)*\nitem ::= \"(\" item* \")\" | \"[\" item* \"]\" | \"x\"", "g"),
      std::make_shared<const TokenTrie>(vocab), Masks::Bounds{.automaton = 200'000});
  std::mt19937 random(1);
  const Automaton* last = masks->automaton().get();
  int changes = 0;
  std::vector<Constraint> texts(4, Constraint(masks));
  std::vector<std::string> open(texts.size());
  // Random brackets make new stacks all the time.
  for (int step = 0; step < 100'000 && changes < 20; ++step) {
    const std::size_t i = static_cast<std::size_t>(step) % texts.size();
    const bool opens = open[i].size() < 40 || (open[i].size() < 400 && random() % 2 == 0);
    const char bracket = opens ? (random() % 2 == 0 ? '(' : '[') : open[i].back();
    texts[i].accept(bracket == '(' ? (opens ? 3 : 4) : (opens ? 5 : 6));
    if (opens) {
      open[i] += bracket;
    } else {
      open[i].pop_back();
    }
    changes += std::exchange(last, masks->automaton().get()) != last ? 1 : 0;
  }
  EXPECT_EQ(changes, 20);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (; !open[i].empty(); open[i].pop_back()) texts[i].accept(open[i].back() == '(' ? 4 : 6);
    EXPECT_TRUE(texts[i].may_end());
  }
}

std::string random_text(std::mt19937& random, int most) {
  std::string text(1 + random() % static_cast<unsigned>(most), 'a');
  for (char& c : text) c = static_cast<char>('a' + random() % 3);
  return text;
}

// Some walks through a grammar; returns how many masks were compared.
int compare(const test::NaiveGrammar& naive, const std::shared_ptr<const Grammar>& grammar,
            std::mt19937& random) {
  std::vector<std::string> pieces{"a", "b", "c", "d"};
  for (int i = 0; i < 40; ++i) pieces.push_back(random_text(random, 6));
  for (int i = 0; i < 4; ++i) pieces.push_back(random_text(random, 40));
  const Vocab vocab = vocab_of(pieces);
  const auto masks = std::make_shared<Masks>(grammar, std::make_shared<const TokenTrie>(vocab),
                                             Masks::Bounds{.masks = random() % 20'000});
  int checks = 0;
  for (int walk = 0; walk < 3; ++walk) {
    Constraint constraint(masks);
    test::NaiveGrammar::Rest rest = naive.begin();
    for (int step = 0; step < 6; ++step) {
      std::vector<TokenId> ends, followers;
      if (naive.may_end(rest)) ends = {1, 2};
      for (TokenId id = 3; id < vocab.size(); ++id) {
        if (!naive.after(rest, vocab[id].bytes).empty()) followers.push_back(id);
      }
      EXPECT_FALSE(ends.empty() && followers.empty());
      EXPECT_EQ(constraint.may_end(), !ends.empty());
      EXPECT_EQ(constraint.must_end(), followers.empty());
      std::vector<TokenId> expected = ends;
      expected.insert(expected.end(), followers.begin(), followers.end());
      EXPECT_EQ(allowed(constraint, static_cast<std::size_t>(vocab.size())), expected);
      ++checks;
      if (followers.empty()) break;
      const TokenId token = followers[random() % followers.size()];
      constraint.accept(token);
      rest = naive.after(rest, vocab[token].bytes);
    }
  }
  return checks;
}

// Against lists of all that may still come, which are slow and share nothing with the automata.
TEST(Constraint, MasksAreThoseOfANaiveMatcher) {
  std::mt19937 random(7);
  int checks = 0, refused = 0, left = 0;
  constexpr int kGrammars = test::kSanitized ? 500 : 1500;
  for (int i = 0; i < kGrammars; ++i) {
    const test::NaiveGrammar naive(random);
    std::shared_ptr<const Grammar> grammar;
    try {
      grammar = parse_gbnf(naive.gbnf(), "g");
    } catch (const std::runtime_error&) {
      ++refused;  // left recursion, or a rule that never ends
      continue;
    }
    try {
      checks += compare(naive, grammar, random);
    } catch (const test::TooAmbiguous&) {
      ++left;
    }
    ASSERT_FALSE(HasFailure()) << naive.gbnf();
  }
  EXPECT_GT(checks, 2 * kGrammars);
  EXPECT_GT(refused, kGrammars / 150);
  EXPECT_LT(left, kGrammars / 5);
}

// A text of the grammar, byte by byte: at each, the masks have the tokens that the automaton takes, and no other.
void expect_masks_of_the_automaton(const std::shared_ptr<Masks>& masks, const Vocab& vocab,
                                   std::string_view text) {
  Constraint constraint(masks);
  for (const char byte : text) {
    std::vector<TokenId> taken;
    for (TokenId id = 0; id < vocab.size(); ++id) {
      Constraint ahead = constraint;
      if (ahead.try_accept(id)) taken.push_back(id);
    }
    ASSERT_EQ(allowed(constraint, static_cast<std::size_t>(vocab.size())), taken)
        << "before '" << byte << "' of " << text;
    ASSERT_TRUE(constraint.try_accept(3 + static_cast<unsigned char>(byte))) << text;
  }
}

// Properties of any length, as places that lie alike beside each other may be taken for one.
TEST(Constraint, MasksOfAPropertyAreNotThoseOfAnother) {
  std::vector<std::string> pieces;
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(1, static_cast<char>(byte));
  for (const char* more : {" t", " f", "true", " \"", "\":", "{\"", ":\"", " {", " [", "aa", "bb", ",\""})
    pieces.emplace_back(more);
  const Vocab vocab = vocab_of(pieces);
  const auto trie = std::make_shared<const TokenTrie>(vocab);
  for (int a = 1; a < 9; ++a) {
    for (int b = 1; b < 9; ++b) {
      const std::string first(static_cast<std::size_t>(a), 'a'), second(static_cast<std::size_t>(b), 'b');
      const auto grammar = parse_json_schema(
          fmt::format(R"({{"properties":{{"{}":{{}},"{}":{{"type":"string"}}}},"type":"object"}})", first,
                      second),
          "s");
      expect_masks_of_the_automaton(std::make_shared<Masks>(grammar, trie), vocab,
                                    fmt::format(R"({{"{}": true,"{}": "x"}})", first, second));
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace llamajit::constraint_test
