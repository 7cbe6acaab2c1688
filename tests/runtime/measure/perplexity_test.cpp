#include "runtime/measure/perplexity.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/measure/saved_logits.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::perplexity_test {
namespace {

using test::CheckpointWeights;
using test::TempFile;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kVocab = 50;
const Config kConfig = test::toy_config(64, 96, 2, 4, 2, kVocab, 320, false);

std::vector<TokenId> some_tokens(int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * i * 7 + 3 * i + 1) % kVocab);
  return tokens;
}

class Model {
 public:
  explicit Model(const CheckpointWeights& weights, int threads = 1)
      : temp_(write_v0(weights)),
        engine_(read_llama2c(temp_.path()), {{jit::host_tiers().back()}, threads, 0}) {}
  Engine& engine() { return engine_; }

 private:
  TempFile temp_;
  Engine engine_;
};

Mean loss(Engine& engine, const std::vector<TokenId>& tokens, const Windows& windows) {
  Mean mean;
  predict(engine, tokens, windows,
          [&](TokenId target, std::span<const float> logits) { mean.add(-log_probability(logits, target)); });
  return mean;
}

TEST(Perplexity, OfAModelThatKnowsNothingIsTheVocabularysSize) {
  CheckpointWeights weights = test::random_weights(kConfig, 2);
  weights.classifier.assign(weights.classifier.size(), 0.0F);
  Model model(weights);
  const Mean mean = loss(model.engine(), some_tokens(100), {32, 16});
  EXPECT_EQ(mean.count(), 99);
  EXPECT_NEAR(std::exp(mean.value()), kVocab, 1e-9);
  EXPECT_NEAR(mean.error(), 0, 1e-12);
}

TEST(Perplexity, OfLogitsThatAreNoNumbersIsAnErrorThatNamesThePosition) {
  CheckpointWeights weights = test::random_weights(kConfig, 2);
  weights.classifier[0] = 3e38F;  // the sum of the two leaves the range
  weights.classifier[1] = 3e38F;
  weights.final_norm.assign(weights.final_norm.size(), 1e30F);
  Model model(weights);
  try {
    loss(model.engine(), some_tokens(100), {32, 16});
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(
        error.what(),
        "position 0: expected logits that are numbers, found nan for token 0: the model's weights are "
        "damaged, or too large");
  }
}

TEST(Perplexity, PredictsEachTokenOnceAfterAsManyAsTheWindowHas) {
  Model model(test::random_weights(kConfig, 2));
  Engine& engine = model.engine();
  for (const int count : {2, 17, 32, 33, 100}) {
    const std::vector<TokenId> tokens = some_tokens(count);
    for (const Windows windows : {Windows{32, 16}, Windows{32, 1}, Windows{32, 32}, Windows{17, 5}}) {
      std::vector<std::pair<TokenId, std::vector<float>>> seen;
      predict(engine, tokens, windows, [&](TokenId target, std::span<const float> logits) {
        seen.emplace_back(target, std::vector(logits.begin(), logits.end()));
      });
      ASSERT_EQ(std::ssize(seen), predictions(count, windows));
      std::size_t at = 0;
      int predicted = 1;
      for (int first = 0; predicted < count; first += windows.stride) {
        const int end = std::min(count, first + windows.context);
        for (int pos = first; pos + 1 < end; ++pos) {
          const bool wanted = pos + 1 >= predicted;
          engine.feed(tokens[static_cast<std::size_t>(pos)], pos - first, wanted);
          if (!wanted) continue;
          EXPECT_EQ(seen[at].first, tokens[static_cast<std::size_t>(pos) + 1]);
          const std::span<const float> expected = engine.logits();
          EXPECT_TRUE(std::ranges::equal(seen[at].second, expected)) << count << " tokens, at " << pos + 1;
          ++at;
        }
        predicted = end;
      }
      EXPECT_EQ(at, seen.size());
    }
  }
}

TEST(Perplexity, BeginsEveryWindowAsTextsBegin) {
  Model model(test::random_weights(kConfig, 2));
  std::vector<TokenId> tokens = some_tokens(64);
  const Mean with = loss(model.engine(), tokens, {32, 32, TokenId{1}});
  const Mean without = loss(model.engine(), tokens, {32, 32});
  tokens[32] = 1;
  const Mean expected = loss(model.engine(), tokens, {32, 32});
  EXPECT_EQ(with.value(), expected.value());
  EXPECT_NE(with.value(), without.value());
}

// A window of more tokens than a prompt's chunk has.
TEST(Perplexity, IsTheSameForEveryTeam) {
  const CheckpointWeights weights = test::random_weights(kConfig, 2);
  Model one(weights), three(weights, 3);
  const std::vector<TokenId> tokens = some_tokens(400);
  EXPECT_EQ(loss(one.engine(), tokens, {300, 150}).value(), loss(three.engine(), tokens, {300, 150}).value());
}

TEST(Perplexity, MeansHaveStandardErrors) {
  Mean mean;
  for (const double value : {1.0, 2.0, 4.0, 5.0}) mean.add(value);
  EXPECT_DOUBLE_EQ(mean.value(), 3.0);
  EXPECT_DOUBLE_EQ(mean.error(), std::sqrt(10.0 / 3 / 4));
  EXPECT_TRUE(std::isinf(Mean().error()));
}

TEST(Perplexity, ProbabilitiesAndDivergenceAreThoseOfSoftmax) {
  const float halves[] = {1000.0F, 1000.0F, 0.0F}, others[] = {std::log(3.0F), 0.0F, -1000.0F};
  EXPECT_NEAR(log_probability(halves, 1), std::log(0.5), 1e-12);
  EXPECT_NEAR(log_probability(others, 0), std::log(0.75), 1e-7);
  EXPECT_NEAR(divergence(halves, others), 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-7);
  EXPECT_EQ(divergence(others, others), 0);
}

class Saved : public ::testing::Test {
 protected:
  std::string content() {
    std::string bytes;
    LogitsWriter writer(
        [&](std::span<const std::byte> more) {
          bytes.append(reinterpret_cast<const char*>(more.data()), more.size());
        },
        kVocab, windows_, tokens_);
    predict(model_.engine(), tokens_, windows_,
            [&](TokenId /*target*/, std::span<const float> logits) { writer.add(logits); });
    return bytes;
  }
  void expect_refused(const std::string& bytes, const std::string& message) {
    const TempFile temp(bytes);
    try {
      SavedLogits(temp.path(), kVocab, windows_, tokens_);
      ADD_FAILURE() << "expected: " << message;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(temp.path() + ": "), HasSubstr(message)));
    }
  }

  Model model_{test::random_weights(kConfig, 2)};
  const Windows windows_{32, 16};
  const std::vector<TokenId> tokens_ = some_tokens(70);
};

TEST_F(Saved, LogitsComeBackAsTheyWere) {
  const TempFile temp(content());
  SavedLogits saved(temp.path(), kVocab, windows_, tokens_);
  int count = 0;
  predict(model_.engine(), tokens_, windows_, [&](TokenId /*target*/, std::span<const float> logits) {
    const std::span<const float> base = saved.next();
    EXPECT_TRUE(std::ranges::equal(base, logits));
    EXPECT_EQ(divergence(base, logits), 0);
    ++count;
  });
  EXPECT_EQ(count, 69);
}

TEST_F(Saved, OtherFilesAreRefused) {
  const std::string good = content();
  const auto with = [&](std::size_t at, std::uint32_t value) {
    std::string bytes = good;
    std::memcpy(&bytes[at], &value, sizeof value);
    return bytes;
  };
  expect_refused("LJ", "magic: expected 8 bytes");
  expect_refused("GGUF" + good.substr(4), "magic: expected 'LJLOGITS'");
  expect_refused(with(8, 2), "version: expected 1, found 2");
  expect_refused(with(12, 51), "vocabulary: expected 50, found 51");
  expect_refused(with(16, 0xFFFFFFFF), "context: expected 32, found 4294967295");
  expect_refused(with(20, 32), "stride: expected 16, found 32");
  expect_refused(with(28, 1), "tokens: expected 70, found 4294967366");
  expect_refused(with(32, 68), "predictions: expected 69, found 68");
  expect_refused(with(40 + 4 * 3, 49), "tokens[3]: expected 23, as in the text, found 49");
  for (const std::size_t size : {std::size_t{9}, std::size_t{40}, std::size_t{50}, good.size() - 1}) {
    expect_refused(good.substr(0, size), "to the end of the file");
  }
  expect_refused(good + "x", "bytes behind the logits: expected 0, found 1");
}

}  // namespace
}  // namespace llamajit::perplexity_test
