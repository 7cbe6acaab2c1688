#include "runtime/generate/generate.h"

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::generate_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kVocab = 24;

// A model that counts: after token t comes t + 1; after 10 comes the end of the text, after 20 a begin.
class Scheduler : public ::testing::Test {
 protected:
  explicit Scheduler(int context = 100) : file_(content(context)) {
    model_ = read_llama2c(file_.path());
    engine_ = std::make_unique<Engine>(model_, EngineOptions{{jit::host_tiers().back()}, 2, 0});
  }

  static std::string content(int context) {
    std::vector<std::int32_t> next(kVocab);
    std::iota(next.begin(), next.end(), 1);
    next[10] = Vocab::kEos;
    next[20] = Vocab::kBos;
    next[23] = 11;
    return write_v1(test::chain_model(next, context));
  }

  Generation run(const std::vector<TokenId>& prompt, GenerationOptions options = {}) {
    said_.clear();
    Sampler sampler({}, [this](std::span<float> x, float scale) { engine_->softmax(x, scale); });
    return generate(*engine_, sampler, prompt, options, [this](TokenId token) {
      said_.push_back(token);
      if (on_token_) on_token_();
    });
  }

  test::TempFile file_;
  ModelFile model_;
  std::unique_ptr<Engine> engine_;
  std::vector<TokenId> said_;
  std::function<void()> on_token_;
};

class ShortContext : public Scheduler {
 protected:
  ShortContext() : Scheduler(8) {}
};

TEST_F(Scheduler, CountsTokensBeyondThePrompt) {
  const Generation result = run({1, 3, 4, 5}, {.max_tokens = 3});
  EXPECT_THAT(said_, ElementsAre(6, 7, 8)) << "not the prompt's last token, and the last generated one too";
  EXPECT_EQ(result.reason, StopReason::max_tokens);
  EXPECT_EQ(result.prompt_tokens, 4);
  EXPECT_EQ(result.generated_tokens, 3);
}

TEST(Generate, LogitsThatAreNoNumbersAreAnErrorThatNamesThePosition) {
  for (const float bad : {-3e38F, 3e38F}) {
    std::vector<std::int32_t> next(kVocab, 5);
    test::CheckpointWeights weights = test::chain_model(next, 100);
    for (float& weight : weights.layers[0].down) weight = bad;
    for (float& weight : weights.layers[0].up) weight = 3e38F;
    const test::TempFile temp(write_v1(weights));
    const ModelFile file = read_llama2c(temp.path());
    for (const float temperature : {0.0F, 1.0F}) {
      Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
      Sampler sampler({.temperature = temperature},
                      [&](std::span<float> x, float s) { engine.softmax(x, s); });
      const std::vector<TokenId> prompt = {1, 3, 4};
      const auto run = [&] { generate(engine, sampler, prompt, {}, [](TokenId) { ADD_FAILURE(); }); };
      EXPECT_THAT(run, ::testing::ThrowsMessage<std::runtime_error>(
                           HasSubstr("position 2: expected logits that are numbers, found ")))
          << bad << " at temperature " << temperature;
    }
  }
}

// Squares overflow in norms, which become zeros then, and so would all logits be.
TEST(Generate, AnEmbeddingThatOverflowsNormsIsAnErrorThatNamesThePosition) {
  test::CheckpointWeights weights = test::chain_model(std::vector<std::int32_t>(kVocab, 5), 100);
  for (float& weight : weights.embedding) weight = 3e38F;
  const test::TempFile temp(write_v1(weights));
  Engine engine(read_llama2c(temp.path()), {{jit::host_tiers().back()}, 1, 0});
  Sampler sampler({.temperature = 0}, [&](std::span<float> x, float s) { engine.softmax(x, s); });
  for (const std::vector<TokenId>& prompt : {std::vector<TokenId>{1, 3, 4}, {1}}) {
    const auto run = [&] { generate(engine, sampler, prompt, {}, [](TokenId) { ADD_FAILURE(); }); };
    EXPECT_THAT(run, ::testing::ThrowsMessage<std::runtime_error>(HasSubstr(fmt::format(
                         "position {}: expected logits that are numbers, found nan", prompt.size() - 1))));
  }
  Batch batch;
  batch.add(engine.sequence(), std::vector<TokenId>{1, 3, 4}, 0);
  engine.step(batch, [](std::size_t row, const RowOutput& logits) {
    EXPECT_TRUE(std::isnan(logits.logits.front())) << row;
  });
}

TEST_F(Scheduler, GeneratesNothingWhenAskedForNothing) {
  EXPECT_EQ(run({1, 3}, {.max_tokens = 0}).reason, StopReason::max_tokens);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(Scheduler, StopsAtTheEndOfTheText) {
  const Generation result = run({1, 8});
  EXPECT_EQ(result.reason, StopReason::eos);
  EXPECT_THAT(said_, ElementsAre(9, 10));
  EXPECT_EQ(result.generated_tokens, 2);
}

TEST_F(Scheduler, StopsAtTheBeginOfAnother) {
  EXPECT_EQ(run({1, 18}).reason, StopReason::bos);
  EXPECT_THAT(said_, ElementsAre(19, 20));
}

TEST_F(Scheduler, TheLimitComesBeforeTheEnd) {
  EXPECT_EQ(run({1, 8}, {.max_tokens = 2}).reason, StopReason::max_tokens);
  EXPECT_EQ(run({1, 8}, {.max_tokens = 3}).reason, StopReason::eos);
}

TEST_F(Scheduler, IgnoresTheEndWhenAskedTo) {
  const Generation result = run({1, 9}, {.max_tokens = 5, .ends = {.ignored = true}});
  EXPECT_EQ(result.reason, StopReason::max_tokens);
  EXPECT_EQ(said_.size(), 5U);
  EXPECT_EQ(said_[0], 10);
  for (const TokenId token : said_) {
    EXPECT_NE(token, Vocab::kBos);
    EXPECT_NE(token, Vocab::kEos);
  }
}

TEST_F(Scheduler, RunsToTheContextsEnd) {
  const Generation result = run({1, 11}, {.ends = {.ignored = true}});
  EXPECT_EQ(result.reason, StopReason::context_end);
  // 100 positions, and the token that follows the last of them.
  EXPECT_EQ(result.prompt_tokens + result.generated_tokens, 101);
}

TEST_F(ShortContext, SaysThatTheContextEnded) {
  const Generation result = run({1, 11});
  EXPECT_EQ(result.reason, StopReason::context_end);
  EXPECT_THAT(said_, ElementsAre(12, 13, 14, 15, 16, 17, 18));
}

TEST_F(ShortContext, APromptOfExactlyTheContextGivesOneToken) {
  const Generation result = run({1, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(result.reason, StopReason::context_end);
  EXPECT_THAT(said_, ElementsAre(10));
}

TEST_F(ShortContext, ALongerPromptIsAnError) {
  try {
    run({1, 3, 4, 5, 6, 7, 8, 9, 10});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("prompt: expected at most 8 tokens (the context), found 9"));
  }
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(Scheduler, StopsAfterTheTokenAtHandWhenCancelled) {
  std::atomic<bool> cancel{false};
  on_token_ = [&] { cancel = said_.size() == 2; };
  EXPECT_EQ(run({1, 3}, {.cancel = &cancel}).reason, StopReason::cancelled);
  EXPECT_THAT(said_, ElementsAre(4, 5));
}

TEST_F(Scheduler, ACancelDuringThePromptSaysNothing) {
  const std::atomic<bool> cancel{true};
  const Generation result = run({1, 3, 4}, {.cancel = &cancel});
  EXPECT_EQ(result.reason, StopReason::cancelled);
  EXPECT_EQ(result.generated_tokens, 0);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(Scheduler, StartsAgainFromTheBeginning) {
  for (int i = 0; i < 3; ++i) {
    run({1, 5}, {.max_tokens = 4});
    EXPECT_THAT(said_, ElementsAre(6, 7, 8, 9));
  }
}

TEST_F(Scheduler, EveryReasonHasItsOwnName) {
  std::vector<std::string_view> names;
  for (const StopReason reason : {StopReason::bos, StopReason::eos, StopReason::max_tokens,
                                  StopReason::context_end, StopReason::cancelled}) {
    EXPECT_FALSE(to_string(reason).empty());
    EXPECT_THAT(names, ::testing::Not(::testing::Contains(to_string(reason))));
    names.push_back(to_string(reason));
  }
}

}  // namespace
}  // namespace llamajit::generate_test
