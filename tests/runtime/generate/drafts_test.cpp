// Texts with drafts are those without, to the last token, and so is what they leave in the cache.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/draft/model_drafter.h"
#include "runtime/draft/ngram_drafter.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/model_reader.h"
#include "runtime/generate/generate.h"
#include "runtime/grammar/gbnf.h"
#include "tests/support/family_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::drafts_test {
namespace {

using test::TempFile;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Text = std::vector<TokenId>;

// Knows the text that is coming, but each n-th of its guesses is wrong.
class Knowing : public Drafter {
 public:
  Knowing(Text text, int wrong_each) : text_(std::move(text)), wrong_each_(wrong_each) {}
  bool begin(std::span<const TokenId> text) override {
    at_ = text.size();
    return true;
  }
  std::optional<Guess> next(Foresight& /*foresight*/) override {
    if (at_ >= text_.size()) return std::nullopt;
    const TokenId right = text_[at_++];
    return Guess{++guesses_ % wrong_each_ == 0 ? (right + 1) % 5 + 3 : right, 0};
  }

 private:
  Text text_;
  int wrong_each_;
  std::size_t at_ = 0;
  int guesses_ = 0;
};

struct Written {
  Text tokens;
  Text held;  // by the engine's sequence
  Generation result;
};

Written write(Engine& engine, const SamplerOptions& sampling, const Text& prompt, GenerationOptions options,
              Speculation* drafts) {
  Sampler sampler(sampling, [&](std::span<float> x, float scale) { engine.softmax(x, scale); });
  options.drafts = drafts;
  Written written;
  written.result =
      generate(engine, sampler, prompt, options, [&](TokenId t) { written.tokens.push_back(t); });
  written.held.assign(engine.sequence().tokens().begin(), engine.sequence().tokens().end());
  return written;
}

Text joined(Text text, const Text& more) {
  text.insert(text.end(), more.begin(), more.end());
  return text;
}

// Once without drafts, and for many of them; then both go on behind what they have written.
void expect_same_texts(const ModelFile& file, const SamplerOptions& sampling,
                       const GenerationOptions& options, const Text& prompt) {
  Engine plain(file, {.isa = {jit::host_tiers().back()}});
  const Written expected = write(plain, sampling, prompt, options, nullptr);
  const Text all = joined(prompt, expected.tokens), more = joined(all, {7, 8});
  const bool goes_on = static_cast<int>(more.size()) < plain.context();
  const Text continued = goes_on ? write(plain, sampling, more, {.max_tokens = 3}, nullptr).tokens : Text();
  for (const int wrong_each : {1, 3, 100}) {
    for (const int length : {2, 15}) {
      SCOPED_TRACE(fmt::format("drafts of {}, of which each {}th token is wrong", length, wrong_each));
      Engine engine(file, {.isa = {jit::host_tiers().back()}, .threads = 2});
      DraftBudget budget(length);
      Speculation drafts(nullptr, std::make_unique<Knowing>(joined(all, {5, 6, 7, 8}), wrong_each), budget);
      const Written written = write(engine, sampling, prompt, options, &drafts);
      ASSERT_THAT(written.tokens, ElementsAreArray(expected.tokens));
      EXPECT_EQ(written.result.reason, expected.result.reason);
      EXPECT_THAT(written.held, ElementsAreArray(expected.held));
      EXPECT_TRUE(wrong_each < 100 || expected.tokens.size() < 3 || drafts.counts().accepted > 0);
      EXPECT_LE(drafts.counts().accepted, drafts.counts().drafted);
      if (!goes_on) continue;
      EXPECT_THAT(write(engine, sampling, more, {.max_tokens = 3}, nullptr).tokens,
                  ElementsAreArray(continued));
    }
  }
}

class DraftsOf : public ::testing::TestWithParam<test::FamilyFile> {};

TEST_P(DraftsOf, LeaveTheTextAsItIs) {
  const Config config = test::small_config(GetParam());
  const TempFile temp(test::family_gguf(GetParam(), config, 3).content());
  const ModelFile file = read_model(temp.path());
  const Text prompt = {5, 9, 6, 7, 11, 8};
  const int most = std::min(24, config.seq_len - 12);
  expect_same_texts(file, {.temperature = 1, .seed = 3}, {.max_tokens = most, .ends = {.ignored = true}},
                    prompt);
}

std::string test_name(const ::testing::TestParamInfo<test::FamilyFile>& family) {
  std::string name(family.param.name);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return fmt::format("{}_{}", name, family.index);
}
INSTANTIATE_TEST_SUITE_P(AllFamilies, DraftsOf, ::testing::ValuesIn(test::kFamilyFiles), test_name);

class Drafts : public ::testing::Test {
 protected:
  static constexpr int kVocab = 100, kContext = 64;
  Drafts()
      : temp_(test::write_v2(
            test::random_weights(test::toy_config(64, 96, 2, 4, 2, kVocab, kContext, false), 21), 32)),
        file_(read_llama2c(temp_.path())) {}

  TempFile temp_;
  ModelFile file_;
  Text prompt_ = {5, 6, 7, 5, 6};
};

TEST_F(Drafts, EverySampler) {
  for (const SamplerOptions& sampling : std::vector<SamplerOptions>{
           {.temperature = 0},
           {.temperature = 0.8F, .seed = 4},
           {.temperature = 1.5F, .top_p = 0.9F, .top_k = 20, .seed = 5},
           {.temperature = 1, .min_p = 0.05F, .repeat_penalty = 1.3F, .repeat_last_n = 8, .seed = 6},
           {.temperature = 0, .repeat_penalty = 1.2F},
           {.temperature = 0.7F, .presence_penalty = 0.5F, .frequency_penalty = 0.4F, .seed = 7},
           {.temperature = 0, .logit_bias = {{9, 100.0F}}}}) {
    SCOPED_TRACE(fmt::format("temperature {}, seed {}", sampling.temperature, sampling.seed));
    expect_same_texts(file_, sampling, {.max_tokens = 30, .ends = {.ignored = true}}, prompt_);
  }
}

TEST_F(Drafts, ManySeeds) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}}),
      other(file_, {.isa = {jit::host_tiers().back()}}),
      small(file_, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  DraftBudget budget;
  int accepted = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const SamplerOptions sampling{
        .temperature = 0.1F * static_cast<float>(seed % 12), .top_p = 0.95F, .seed = seed};
    const GenerationOptions options{.max_tokens = 40};
    Speculation drafts(std::make_unique<NgramDrafter>(), std::make_unique<ModelDrafter>(small, kVocab),
                       budget);
    engine.sequence().cut(0);
    other.sequence().cut(0);
    ASSERT_THAT(write(engine, sampling, prompt_, options, &drafts).tokens,
                ElementsAreArray(write(other, sampling, prompt_, options, nullptr).tokens))
        << seed;
    accepted += drafts.counts().accepted;
  }
  EXPECT_GE(accepted, 0);
}

// The same model draws what the text draws: every guess is right, whatever the temperature.
TEST_F(Drafts, AModelGuessesItsOwnTexts) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}}),
      same(file_, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  for (const float temperature : {0.0F, 0.8F, 2.0F}) {
    engine.sequence().cut(0);
    DraftBudget budget(7);
    Speculation drafts(nullptr, std::make_unique<ModelDrafter>(same, kVocab), budget);
    const SamplerOptions sampling{.temperature = temperature, .repeat_penalty = 1.1F, .seed = 9};
    write(engine, sampling, prompt_, {.max_tokens = 40, .ends = {.ignored = true}}, &drafts);
    EXPECT_EQ(drafts.counts().accepted, drafts.counts().drafted) << temperature;
    EXPECT_EQ(drafts.counts().steps, 5) << "8 tokens each, behind the first";
  }
}

TEST_F(Drafts, EveryEndOfAText) {
  for (int most = 0; most < 9; ++most) {
    expect_same_texts(file_, {.temperature = 1, .seed = 3}, {.max_tokens = most}, prompt_);
  }
  expect_same_texts(file_, {.temperature = 1, .seed = 4}, {},
                    prompt_);  // the context's, or a token that ends it
  expect_same_texts(file_, {.temperature = 1, .seed = 4}, {.ends = {.ignored = true}}, prompt_);
  // A stop string's end, behind the tenth token.
  int tokens = 0;
  GenerationOptions stops{.ends = {.ignored = true}};
  stops.complete = [&] { return ++tokens % 10 == 0; };
  expect_same_texts(file_, {.temperature = 1, .seed = 5}, stops, Text(prompt_));
}

TEST_F(Drafts, TokensThatEndTheTextEndIt) {
  const TempFile chain(test::write_v1(test::chain_model(test::alphabet_chain(), 60)));
  const ModelFile file = read_llama2c(chain.path());
  expect_same_texts(file, {}, {}, {1, 3, 20});
}

// Of a model that says the alphabet, held to grammars.
class SpellingDrafts : public ::testing::Test {
 protected:
  static Vocab vocab() {
    std::vector<Piece> pieces;
    for (const std::string& piece : test::alphabet()) pieces.push_back({piece});
    return Vocab(std::move(pieces));
  }

  TempFile chain_{test::write_v1(test::chain_model(test::alphabet_chain(), 60))};
  ModelFile file_ = read_llama2c(chain_.path());
  Vocab vocab_ = vocab();
  std::shared_ptr<const TokenTrie> trie_ = std::make_shared<const TokenTrie>(vocab_);
};

// Words of a grammar; wrong guesses are often such as it forbids.
TEST_F(SpellingDrafts, AGrammarHoldsThemToo) {
  const auto grammar = parse_gbnf("root ::= ([a-e]+ \" \")+ [x-z]", "test");
  const auto text = [&](int wrong_each) {
    Engine engine(file_, {.isa = {jit::host_tiers().back()}});
    Constraint constraint(grammar, trie_);
    GenerationOptions options{.max_tokens = 25};
    options.constraint = &constraint;
    DraftBudget budget(6);
    const Text known = {3, 4, 5, 6, 7, 8, 3, 4, 5, 3, 29, 4, 5, 6, 7, 8, 3, 4, 5};
    Speculation drafts(nullptr, std::make_unique<Knowing>(known, wrong_each), budget);
    return write(engine, {.temperature = 3, .seed = 8}, {1, 3}, options, wrong_each == 0 ? nullptr : &drafts);
  };
  const Written expected = text(0);
  ASSERT_GT(expected.tokens.size(), 4U);
  for (const int wrong_each : {1, 2, 5}) {
    const Written written = text(wrong_each);
    EXPECT_THAT(written.tokens, ElementsAreArray(expected.tokens));
    EXPECT_EQ(written.result.reason, expected.result.reason);
  }
}

// The smaller model's guesses may come to where the vocabulary has nothing that can follow: the text has its tokens up to there.
TEST_F(SpellingDrafts, AGrammarWithoutAWayOnFailsWhereTheTextComesToIt) {
  const auto grammar = parse_gbnf("root ::= \"abcd\" [0-9]", "test");
  const auto text = [&](bool drafted) {
    Engine engine(file_, {.isa = {jit::host_tiers().back()}}),
        same(file_, {.isa = {jit::host_tiers().back()}, .sequences = 2});
    Constraint constraint(grammar, trie_);
    GenerationOptions options{.max_tokens = 25};
    options.constraint = &constraint;
    DraftBudget budget(9);
    Speculation drafts(nullptr, std::make_unique<ModelDrafter>(same, file_.config.vocab_size), budget);
    options.drafts = drafted ? &drafts : nullptr;
    Sampler sampler({}, [&](std::span<float> x, float scale) { engine.softmax(x, scale); });
    Text written;
    EXPECT_THAT(
        [&] {
          generate(engine, sampler, Text{1}, options, [&](TokenId token) { written.push_back(token); });
        },
        ThrowsMessage<std::runtime_error>(HasSubstr("expected a token of the vocabulary that can follow")));
    return written;
  };
  const Text expected = text(false);
  EXPECT_EQ(expected.size(), 4U);
  EXPECT_THAT(text(true), ElementsAreArray(expected));
}

TEST(ModelDrafts, AnotherVocabularyIsRefusedByTheFirstTokenThatDiffers) {
  const Vocab model({{"<unk>"}, {"<s>"}, {"</s>"}, {"a"}, {"b"}}),
      other({{"<unk>"}, {"<s>"}, {"</s>"}, {"a"}, {"c"}});
  EXPECT_THAT([&] { refuse_other_vocab(model, other, "draft.gguf"); },
              ThrowsMessage<std::runtime_error>(HasSubstr(
                  "draft.gguf: vocabulary: expected the model's, whose token 4 is 'b', found 'c'")));
  std::vector<Piece> many(1000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].bytes = fmt::format("<{}>", i);
  EXPECT_THAT([&] { refuse_other_vocab(Vocab(std::move(many)), model, "draft.gguf"); },
              ThrowsMessage<std::runtime_error>(
                  HasSubstr("draft.gguf: vocabulary: expected the model's of 1000 tokens, found 5")));
}

// Some models of a family have a few tokens more, without a use.
TEST_F(Drafts, AModelWithAFewTokensMoreOrFewerGuesses) {
  for (const int vocab : {kVocab - 7, kVocab + 7}) {
    const TempFile temp(test::write_v2(
        test::random_weights(test::toy_config(32, 64, 1, 2, 2, vocab, kContext, false), 5), 32));
    const ModelFile file = read_llama2c(temp.path());
    Engine engine(file_, {.isa = {jit::host_tiers().back()}}),
        plain(file_, {.isa = {jit::host_tiers().back()}}),
        small(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
    DraftBudget budget(4);
    Speculation drafts(nullptr, std::make_unique<ModelDrafter>(small, kVocab), budget);
    const SamplerOptions sampling{.temperature = 1, .seed = 2};
    const GenerationOptions options{.max_tokens = 30, .ends = {.ignored = true}};
    EXPECT_THAT(write(engine, sampling, prompt_, options, &drafts).tokens,
                ElementsAreArray(write(plain, sampling, prompt_, options, nullptr).tokens));
    EXPECT_GT(drafts.counts().drafted, 0);
  }
}

// Where the smaller model can't guess any more, what came before still does.
TEST_F(Drafts, NGramsGoOnBeyondTheSmallerModelsContext) {
  const TempFile temp(test::write_v1(test::chain_model(test::alphabet_chain(), 60)));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file, {.isa = {jit::host_tiers().back()}}),
      small(file, {.isa = {jit::host_tiers().back()}, .context = 8, .sequences = 2});
  DraftBudget budget(4);
  Speculation drafts(std::make_unique<NgramDrafter>(),
                     std::make_unique<ModelDrafter>(small, file.config.vocab_size), budget);
  write(engine, {.temperature = 0}, {1, 4, 5}, {.max_tokens = 4}, &drafts);
  EXPECT_GT(drafts.counts().accepted, 0) << "the model's";
  const int accepted = drafts.counts().accepted;
  write(engine, {.temperature = 0}, {1, 4, 5, 6, 7, 8, 9, 10, 11, 4, 5}, {.max_tokens = 6}, &drafts);
  EXPECT_GT(drafts.counts().accepted, accepted) << "those of the text";
}

// So that a text can be cancelled while the smaller model reads its prompt.
TEST_F(Drafts, TheSmallerModelTakesALongPromptInPieces) {
  const TempFile temp(
      test::write_v2(test::random_weights(test::toy_config(32, 64, 1, 2, 2, kVocab, 1000, false), 5), 32));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file, {.isa = {jit::host_tiers().back()}}), plain(file, {.isa = {jit::host_tiers().back()}}),
      small(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  DraftBudget budget(4);
  Speculation drafts(nullptr, std::make_unique<ModelDrafter>(small, kVocab), budget);
  const Text prompt(600, 5);
  const GenerationOptions options{.max_tokens = 12, .ends = {.ignored = true}};
  EXPECT_THAT(write(engine, {.temperature = 0}, prompt, options, &drafts).tokens,
              ElementsAreArray(write(plain, {.temperature = 0}, prompt, options, nullptr).tokens));
  // The first token is the prompt's. During two steps the smaller model takes 256 tokens each; two more have 4 guesses.
  EXPECT_EQ(drafts.counts().steps, 4);
  EXPECT_EQ(drafts.counts().accepted, drafts.counts().drafted);
  EXPECT_GT(drafts.counts().drafted, 0);
}

// What a model takes for the likeliest token.
class Likeliest : public Foresight {
 public:
  TokenId choose(std::span<float> logits) override {
    return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
  }
  bool accept(TokenId /*token*/) override { return true; }
};

TEST_F(Drafts, BehindALongPauseTheSmallerModelReadsTheEndUntilItIsRight) {
  const TempFile temp(
      test::write_v2(test::random_weights(test::toy_config(32, 64, 1, 2, 2, kVocab, 1000, false), 5), 32));
  const ModelFile file = read_llama2c(temp.path());
  Engine small(file, {.isa = {jit::host_tiers().back()}, .sequences = 2}),
      other(file, {.isa = {jit::host_tiers().back()}});
  ModelDrafter drafter(small, kVocab);
  Likeliest foresight;
  const auto guess = [&](const Text& text) {
    EXPECT_TRUE(drafter.begin(text));
    return drafter.next(foresight)->token;
  };
  const auto likeliest_behind = [&](std::span<const TokenId> text) {
    other.feed_all(text, 0);
    return other.argmax();
  };
  const auto by_end = [&](const Text& text, std::size_t n) {
    return likeliest_behind(std::span(text).last(n));
  };
  const auto end_is_enough = [&](const Text& text, std::size_t n) {
    return by_end(text, n) == likeliest_behind(text);
  };
  Text text;
  for (TokenId i = 0; i < 100; ++i) text.push_back(5 + i * i % 90);
  EXPECT_EQ(guess(text), likeliest_behind(text));
  for (TokenId i = 0; i < 30; ++i) text.push_back(5 + i * 7 % 80);
  EXPECT_EQ(guess(text), likeliest_behind(text)) << "a short pause";
  for (TokenId i = 0; i < 40 || (i < 80 && end_is_enough(text, 16)); ++i) text.push_back(5 + i * 11 % 85);
  ASSERT_FALSE(end_is_enough(text, 16));
  const TokenId first = by_end(text, 16);
  EXPECT_EQ(guess(text), first);
  // Another token, behind which the guess is right, and behind that the end is not enough.
  for (TokenId token = 5; token < 95; ++token) {
    Text next = text;
    next.push_back(token);
    next.push_back(by_end(next, 17));
    if (token == first || end_is_enough(next, 18)) continue;
    text.push_back(token);
    EXPECT_EQ(guess(text), next.back()) << "the one before was wrong";
    EXPECT_EQ(guess(next), likeliest_behind(next)) << "it was right";
    return;
  }
  FAIL() << "the end is always enough";
}

TEST_F(Drafts, ATextWithATokenThatTheSmallerModelDoesNotHaveGetsNone) {
  const TempFile temp(test::write_v2(
      test::random_weights(test::toy_config(32, 64, 1, 2, 2, kVocab - 7, kContext, false), 5), 32));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file_, {.isa = {jit::host_tiers().back()}}),
      small(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  DraftBudget budget(4);
  Speculation drafts(nullptr, std::make_unique<ModelDrafter>(small, kVocab), budget);
  write(engine, {}, {5, kVocab - 8, 6}, {.max_tokens = 5, .ends = {.ignored = true}}, &drafts);
  const int drafted = drafts.counts().drafted;
  EXPECT_GT(drafted, 0);
  write(engine, {}, {5, kVocab - 7, 6}, {.max_tokens = 5, .ends = {.ignored = true}}, &drafts);
  EXPECT_EQ(drafts.counts().drafted, drafted);
}

}  // namespace
}  // namespace llamajit::drafts_test
