#include "runtime/measure/bench.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/temp_file.h"

namespace llamajit::bench_test {
namespace {

using test::TempFile;
using Kind = BenchTest::Kind;

class Bench : public ::testing::Test {
 protected:
  static Config config() {
    Config c;
    c.dim = 96;
    c.hidden_dim = 192;
    c.n_layers = 2;
    c.n_heads = 6;
    c.n_kv_heads = 3;
    c.vocab_size = 300;
    c.seq_len = 64;
    return c;
  }
  Bench()
      : f32_(write_v1(test::random_weights(config(), 1))),
        q8_(write_v2(test::random_weights(config(), 1), 32)) {}

  std::unique_ptr<Engine> engine(const TempFile& model, jit::Tier tier, int threads) const {
    return std::make_unique<Engine>(read_llama2c(model.path()), EngineOptions{{tier}, threads, 0});
  }

  TempFile f32_, q8_;
};

TEST_F(Bench, NamesTests) {
  EXPECT_EQ((BenchTest{Kind::prefill, 128}.name()), "pp128");
  EXPECT_EQ((BenchTest{Kind::decode, 1}.name()), "tg1");
  EXPECT_EQ((BenchTest{Kind::decode, 128, 2048}.name()), "tg128@d2048");
  EXPECT_EQ((BenchTest{Kind::prefill, 7, 1}.name()), "pp7@d1");
  EXPECT_EQ((BenchTest{Kind::decode, 16, 0, 8}.name()), "tg16");
}

TEST_F(Bench, RunsOnceToWarmUpAndThenForTheRecord) {
  const auto on = engine(q8_, jit::host_tiers().back(), 1);
  for (const int repeats : {1, 2, 5}) {
    int runs = 0;
    const BenchResult result = run_bench(*on, {Kind::decode, 4, 2}, repeats, [&] { ++runs; });
    EXPECT_EQ(runs, repeats + 1);
    EXPECT_GE(result.deviation, 0);
    EXPECT_TRUE(repeats > 1 || result.deviation == 0);
    EXPECT_EQ(result.test.name(), "tg4@d2");
    EXPECT_EQ(result.threads, 1);
  }
}

TEST_F(Bench, RatesStayBelowWhatTheMachineAllows) {
  for (const jit::Tier tier : jit::host_tiers()) {
    if (tier == jit::Tier::scalar) continue;
    for (const TempFile* model : {&f32_, &q8_}) {
      const auto on = engine(*model, tier, 1);
      for (const Kind kind : {Kind::prefill, Kind::decode}) {
        const BenchResult result = run_bench(*on, {kind, 48, 8}, 3, [] {});
        SCOPED_TRACE(std::string(to_string(tier)) + " " + result.test.name());
        EXPECT_GT(result.tokens_per_second, 0);
        EXPECT_GE(result.deviation, 0);
        EXPECT_GT(result.limit, 0);
        EXPECT_GT(result.limit_share, 0);
        // One and a half leaves room for another program that
        // took the processor while the limit was measured.
        EXPECT_LT(result.limit_share, 1.5);
      }
    }
  }
}

TEST_F(Bench, CountsBytesAndOperations) {
  const auto on = engine(f32_, jit::host_tiers().back(), 2);
  const Config c = config();
  const double layers = 2.0 * (2 * 96 * 96 + 2 * 96 * 48 + 3 * 96 * 192);  // weights
  const double classifier = 300.0 * 96;
  const BenchResult decode = run_bench(*on, {Kind::decode, 9, 10}, 1, [] {});
  // On average the token at hand sees the ten, itself, and four of the other eight.
  const double seen = 15;
  // For each head and position two products with a head's numbers, and five operations of the softmax.
  const double attention = c.n_layers * (4.0 * c.dim + 5 * c.n_heads) * seen;
  EXPECT_DOUBLE_EQ(decode.operations_per_token, 2 * (layers + classifier) + attention);
  // 300 rows are packed as 304.
  EXPECT_DOUBLE_EQ(decode.bytes_per_token,
                   4 * (layers + 304.0 * 96) + 2.0 * c.n_layers * c.kv_dim() * seen * 4);
  EXPECT_EQ(decode.threads, 2);
  // A byte for each number and four for a scale of each head.
  Engine q8_cache(read_llama2c(f32_.path()), {{jit::host_tiers().back()}, 1, 0, {jit::ElementType::q8_0}});
  EXPECT_DOUBLE_EQ(run_bench(q8_cache, {Kind::decode, 9, 10}, 1, [] {}).bytes_per_token,
                   4 * (layers + 304.0 * 96) + 2.0 * c.n_layers * (c.kv_dim() + c.n_kv_heads * 4) * seen);
  const BenchResult prefill = run_bench(*on, {Kind::prefill, 9, 10}, 1, [] {});
  EXPECT_DOUBLE_EQ(prefill.operations_per_token, 2 * layers + attention);
  EXPECT_DOUBLE_EQ(prefill.bytes_per_token, 4 * (layers + 304.0 * 96) / 9);
}

// Sequences that decode together share the reading of the weights.
TEST_F(Bench, CountsSequencesTogether) {
  Engine on(read_llama2c(f32_.path()), {.isa = {jit::host_tiers().back()}, .sequences = 5});
  const BenchResult alone = run_bench(on, {Kind::decode, 9, 10}, 1, [] {});
  const BenchResult four = run_bench(on, {Kind::decode, 9, 10, 4}, 1, [] {});
  const double weights = static_cast<double>(on.weights().bytes_per_token());
  EXPECT_DOUBLE_EQ(four.bytes_per_token, alone.bytes_per_token - weights + weights / 4);
  EXPECT_DOUBLE_EQ(four.operations_per_token, alone.operations_per_token);
  EXPECT_GT(four.tokens_per_second, 0);
  EXPECT_EQ(on.kv_cache().pool(0).free(), on.kv_cache().pool(0).size() - 1)
      << "the engine's own sequence keeps a page";
  EXPECT_THROW(run_bench(on, {Kind::decode, 9, 10, 5}, 1, [] {}), std::runtime_error);
}

// Where layers have windows, a test's repeats begin with a copy of the text before it, for which there must be room.
TEST_F(Bench, KeepsTheTextBeforeWindows) {
  ModelFile file = read_llama2c(f32_.path());
  file.config.layers.assign(2, file.config);
  file.config.layers[1].window = 5;
  Engine engine(file, {.isa = {jit::host_tiers().back()}, .sequences = 2});
  EXPECT_GT(run_bench(engine, {Kind::decode, 9, 10}, 2, [] {}).tokens_per_second, 0);
  EXPECT_EQ(engine.sequence().length(), 19);
  EXPECT_EQ(engine.kv_cache().pool(0).free(), 1) << "the copy is gone";
  Engine of_one(file, {.isa = {jit::host_tiers().back()}});
  EXPECT_THROW(run_bench(of_one, {Kind::decode, 9, 10}, 2, [] {}), std::runtime_error);
}

TEST_F(Bench, TheScalarTierHasNoLimit) {
  const auto on = engine(q8_, jit::Tier::scalar, 1);
  for (const Kind kind : {Kind::prefill, Kind::decode}) {
    const BenchResult result = run_bench(*on, {kind, 3}, 1, [] {});
    EXPECT_EQ(result.limit, 0);
    EXPECT_EQ(result.limit_share, 0);
    EXPECT_GT(result.tokens_per_second, 0);
  }
}

TEST_F(Bench, FillsTheContextToItsEndAndNotBeyond) {
  const auto on = engine(f32_, jit::host_tiers().back(), 1);
  EXPECT_NO_THROW(run_bench(*on, {Kind::decode, 4, 60}, 1, [] {}));
  EXPECT_NO_THROW(run_bench(*on, {Kind::prefill, 64, 0}, 1, [] {}));
  const auto message = [&](const BenchTest& test) -> std::string {
    try {
      run_bench(*on, test, 1, [] { ADD_FAILURE() << "it ran"; });
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(message({Kind::decode, 5, 60}), "tg5@d60: expected at most 64 positions (the context), found 65");
  EXPECT_EQ(message({Kind::prefill, 65, 0}), "pp65: expected at most 64 positions (the context), found 65");
  // Sums that no int holds.
  EXPECT_THAT(message({Kind::decode, 2147483647, 2147483647}), ::testing::HasSubstr("found 4294967294"));
}

}  // namespace
}  // namespace llamajit::bench_test
