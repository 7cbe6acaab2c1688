// Hidden states and what becomes of them: the vector of a text is the same however it was read.
#include "runtime/generate/embedding.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/reference_model.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::embedding_test {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Text = std::vector<TokenId>;
using Vectors = std::vector<std::vector<float>>;

constexpr int kVocab = 100;

class HiddenStates : public ::testing::Test {
 protected:
  HiddenStates()
      : temp_(test::write_v2(test::random_weights(test::toy_config(64, 96, 2, 4, 2, kVocab, 400, false), 31),
                             32)),
        file_(read_llama2c(temp_.path())) {
    std::mt19937 random(5);
    for (int i = 0; i < 300; ++i) text_.push_back(static_cast<TokenId>(random() % kVocab));
  }

  static Vectors of(Engine& engine, const Text& text, std::size_t piece) {
    Vectors hidden;
    Sequence sequence = engine.new_sequence();
    for (std::size_t begin = 0; begin < text.size(); begin += piece) {
      Batch batch;
      const std::size_t n = std::min(piece, text.size() - begin);
      batch.add_hidden(sequence, std::span(text).subspan(begin, n), 0);
      engine.step(batch, [&](std::size_t row, const RowOutput& output) {
        EXPECT_EQ(row, hidden.size() - begin);
        EXPECT_TRUE(output.logits.empty());
        hidden.emplace_back(output.hidden.begin(), output.hidden.end());
      });
    }
    return hidden;
  }

  test::TempFile temp_;
  ModelFile file_;
  Text text_;
};

TEST_F(HiddenStates, AreThoseOfPlainMathematics) {
  text_.resize(20);
  const test::TempFile exact(
      test::write_v1(test::random_weights(test::toy_config(64, 96, 2, 4, 2, kVocab, 400, false), 31)));
  const ModelFile file = read_llama2c(exact.path());
  Engine engine(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  const Vectors hidden = of(engine, text_, text_.size());
  const std::vector<std::vector<double>> expected = test::reference_hidden(file, text_);
  ASSERT_EQ(hidden.size(), expected.size());
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    for (std::size_t j = 0; j < hidden[i].size(); ++j) {
      EXPECT_NEAR(static_cast<double>(hidden[i][j]), expected[i][j], 1e-4)
          << "token " << i << ", value " << j;
    }
  }
}

TEST_F(HiddenStates, HaveTheSameBitsOnEveryTierAndInEveryPiece) {
  Engine one(file_, {.isa = {jit::Tier::scalar}, .sequences = 2});
  const Vectors expected = of(one, text_, 1);
  for (const jit::Tier tier : jit::host_tiers()) {
    for (const int threads : {1, 2}) {
      Engine engine(file_, {.isa = {tier}, .threads = threads, .sequences = 2});
      for (const std::size_t piece : {300, 37, 5}) {
        EXPECT_EQ(of(engine, text_, piece), expected)
            << to_string(tier) << ", " << threads << " threads, pieces of " << piece;
      }
    }
  }
}

TEST_F(HiddenStates, StandBesideLogits) {
  Engine engine(file_, {.isa = {jit::host_tiers().back()}, .sequences = 3});
  const Vectors alone = of(engine, text_, 300);
  engine.feed_all(text_, 0);
  const std::vector<float> logits(engine.logits().begin(), engine.logits().end());

  Sequence embedded = engine.new_sequence();
  Sequence written = engine.new_sequence();
  Batch batch;
  batch.add_hidden(embedded, text_, text_.size() - 1);
  batch.add(written, text_, text_.size() - 1);
  int seen = 0;
  engine.step(batch, [&](std::size_t row, const RowOutput& output) {
    ++seen;
    if (row == text_.size() - 1) {
      EXPECT_THAT(output.hidden, ::testing::ElementsAreArray(alone.back()));
    } else {
      EXPECT_EQ(row, 2 * text_.size() - 1);
      EXPECT_THAT(output.logits, ::testing::ElementsAreArray(logits));
    }
  });
  EXPECT_EQ(seen, 2);
}

std::vector<float> pooled(Pooling pooling, const Vectors& hidden, std::size_t piece) {
  Pooler pooler(pooling, 2);
  for (std::size_t begin = 0; begin < hidden.size(); begin += piece) {
    const std::size_t n = std::min(piece, hidden.size() - begin);
    const std::size_t first = pooler.first_wanted(begin, n, hidden.size());
    for (std::size_t i = first; i < n; ++i) pooler.add(hidden[begin + i]);
  }
  return pooler.vector();
}

TEST(Pooler, DoesNotDependOnPieces) {
  const Vectors hidden = {{1, 8}, {2, -8}, {4, 1}, {9, 3}};
  for (const std::size_t piece : {1, 2, 3, 4}) {
    EXPECT_THAT(pooled(Pooling::mean, hidden, piece), ElementsAre(FloatEq(4), FloatEq(1)));
    EXPECT_THAT(pooled(Pooling::first, hidden, piece), ElementsAre(FloatEq(1), FloatEq(8)));
    EXPECT_THAT(pooled(Pooling::last, hidden, piece), ElementsAre(FloatEq(9), FloatEq(3)));
  }
}

TEST(Pooler, RefusesWhatIsNoNumber) {
  Pooler pooler(Pooling::mean, 2);
  const float values[] = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT([&] { pooler.add(values); },
              ThrowsMessage<std::runtime_error>(HasSubstr("expected numbers, found nan in place 1")));
}

TEST(Normalize, GivesTheLengthOne) {
  std::vector<float> x = {3, 0, -4};
  normalize(x);
  EXPECT_THAT(x, ElementsAre(FloatNear(0.6F, 1e-7F), FloatEq(0), FloatNear(-0.8F, 1e-7F)));
  std::vector<float> zeros = {0, 0};
  normalize(zeros);
  EXPECT_THAT(zeros, ElementsAre(0, 0));
  std::vector<float> large = {3e30F, 4e30F};  // whose squares no float holds
  normalize(large);
  EXPECT_THAT(large, ElementsAre(FloatNear(0.6F, 1e-6F), FloatNear(0.8F, 1e-6F)));
}

TEST(PoolingNames, AreChecked) {
  EXPECT_EQ(pooling_from("mean"), Pooling::mean);
  EXPECT_EQ(pooling_from("last"), Pooling::last);
  EXPECT_EQ(pooling_from("cls"), Pooling::first);
  EXPECT_THAT([] { pooling_from("sum"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("expected mean, last or cls, found sum")));
}

}  // namespace
}  // namespace llamajit::embedding_test
