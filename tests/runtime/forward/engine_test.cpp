// Every tier, every number of threads and every shape gives the same logits, bit for bit; and quantised
// checkpoints give nearly those of the float32 ones.
#include "runtime/forward/engine.h"

#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/test_data.h"
#include "tests/support/toy_model.h"

namespace llamajit::engine_test {
namespace {

using test::TempFile;
using test::toy_config;

constexpr int kTokens = 19;  // one more than a group of sixteen positions, and some

struct Shape {
  Config config;
  std::vector<int> groups;  // of its v2 checkpoints
};

// Odd counts of heads, heads that threads can't share evenly, row lengths that no vector divides.
std::vector<Shape> shapes() {
  return {
      {toy_config(64, 172, 2, 8, 4, 512, 32, true), {4}},
      {toy_config(44, 172, 2, 11, 11, 511, 20, true), {4, 2}},    // heads of 4
      {toy_config(172, 44, 2, 43, 1, 33, 20, false), {4}},        // one K/V head for 43
      {toy_config(288, 768, 1, 6, 6, 511, 32, true), {32, 96}},   // heads of 48
      {toy_config(288, 96, 2, 9, 3, 129, 19, false), {32, 3}},    // heads of 32
      {toy_config(12, 20, 3, 6, 3, 17, 40, true), {4, 1}},        // heads of 2
      {toy_config(18, 30, 2, 3, 1, 16, 20, false), {6, 3}},       // heads of 6
      {toy_config(30, 10, 1, 3, 3, 15, 20, true), {5, 10}},       // heads of 10
      {toy_config(128, 192, 1, 1, 1, 64, 20, true), {64}},        // one head
      {toy_config(384, 256, 1, 3, 3, 48, 20, false), {64, 128}},  // heads of 128
      {toy_config(80, 64, 2, 5, 5, 100, 20, true), {16}},         // five heads of 16: whole tiles each
      {toy_config(2, 1, 1, 1, 1, 3, 19, true), {1}},
  };
}

std::string name_of(const Config& c) {
  return fmt::format("dim {} hidden {} heads {}/{} vocab {}", c.dim, c.hidden_dim, c.n_heads, c.n_kv_heads,
                     c.vocab_size);
}

// The logits of kTokens tokens in a row, then of one that goes back to an earlier position.
std::vector<float> logits_of(const ModelFile& file, jit::Tier tier, int threads,
                             const Precision& precision = {}) {
  Engine engine(file, {{tier}, threads, 0, precision});
  std::vector<float> all;
  for (int pos = 0; pos < kTokens; ++pos) {
    engine.feed((pos * 31 + 1) % file.config.vocab_size, pos, true);
    all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  }
  return all;
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

// The scalar tier on one thread is the measure for all.
void expect_same_everywhere(const std::string& content, const Precision& precision = {}) {
  const TempFile temp(content);
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = logits_of(file, jit::Tier::scalar, 1, precision);
  for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
  const std::vector<jit::Tier> tiers = jit::host_tiers();
  for (const jit::Tier tier : tiers) {
    const bool all_counts = tier == tiers.back();
    const bool is_scalar = tier == jit::Tier::scalar;
    for (const int threads : {1, 2, 3, 4, 5, 8}) {
      if (!all_counts && threads > 3) continue;
      // That of one thread is the measure itself; sanitized, the twins take longer than all else.
      if (is_scalar && (threads == 1 || test::kSanitized)) continue;
      SCOPED_TRACE(fmt::format("{}, tier {}, {} threads", file.file_format, to_string(tier), threads));
      expect_same_bits(logits_of(file, tier, threads, precision), expected);
    }
  }
}

class EngineShapes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(EngineShapes, EveryTierAndThreadCountGivesTheSameBits) {
  const Shape shape = shapes()[GetParam()];
  SCOPED_TRACE(name_of(shape.config));
  const auto weights = test::random_weights(shape.config, GetParam());
  expect_same_everywhere(write_v0(weights));
  expect_same_everywhere(write_v0(weights), {.bf16 = Bf16Products::all_floats});
  for (const int group : shape.groups) expect_same_everywhere(write_v2(weights, group));
}

INSTANTIATE_TEST_SUITE_P(All, EngineShapes, ::testing::Range(std::size_t{0}, shapes().size()));

TEST(Engine, RunsRepeatToTheBit) {
  const auto weights = test::random_weights(toy_config(64, 172, 2, 8, 4, 512, 32, true), 5);
  const TempFile temp(write_v2(weights, 4));
  const ModelFile file = read_llama2c(temp.path());
  const jit::Tier best = jit::host_tiers().back();
  const std::vector<float> first = logits_of(file, best, 2);
  for (int run = 0; run < 10; ++run) expect_same_bits(logits_of(file, best, 2), first);
}

// Large enough that the threads deal out the matrices' rows as they go.
TEST(Engine, DealtRowsGiveTheSameBitsHoweverTheyFall) {
  const TempFile temp(write_v1(test::random_weights(toy_config(256, 2048, 2, 4, 2, 16384, 16, true), 7)));
  const ModelFile file = read_llama2c(temp.path());
  const jit::Tier best = jit::host_tiers().back();
  Engine alone(file, {{best}, 1, 0});
  for (const int threads : {2, 3, 4}) {
    Engine engine(file, {{best}, threads, 0});
    const auto dealt = [](const Step& step) { return step.deal != nullptr; };
    EXPECT_TRUE(std::ranges::any_of(engine.token_program().feed.threads[0], dealt));
    EXPECT_TRUE(std::ranges::any_of(engine.token_program().classify.threads[0], dealt));
    for (int pos = 0; pos < 16; ++pos) {
      const bool logits = pos % 3 != 1;  // not every token is classified
      alone.feed(pos * 5, pos, logits);
      engine.feed(pos * 5, pos, logits);
      expect_same_bits({engine.logits().begin(), engine.logits().end()},
                       {alone.logits().begin(), alone.logits().end()});
      EXPECT_EQ(engine.argmax(), alone.argmax());
    }
  }
}

TEST(Engine, AnEarlierPositionIsFedAgainAsIfForTheFirstTime) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 96, 2, 4, 2, 100, 40, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  Engine engine(file, {{jit::host_tiers().back()}, 2, 0});
  std::vector<std::vector<float>> first;
  for (int pos = 0; pos < 40; ++pos) {
    engine.feed(pos * 2, pos, true);
    first.emplace_back(engine.logits().begin(), engine.logits().end());
  }
  // What stood behind is forgotten: the next position is that behind the one fed.
  for (const int pos : {17, 3, 4, 5}) {
    engine.feed(pos * 2, pos, true);
    expect_same_bits({engine.logits().begin(), engine.logits().end()}, first[static_cast<std::size_t>(pos)]);
  }
}

// More threads than K/V heads share these, over more than two of attention's ranges.
class SharedHeads : public ::testing::TestWithParam<jit::ElementType> {};

TEST_P(SharedHeads, EveryThreadCountGivesTheSameBits) {
  const TempFile temp(write_v1(test::random_weights(toy_config(96, 44, 2, 6, 2, 65, 600, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  std::vector<TokenId> prompt;
  for (int pos = 0; pos < 508; ++pos) prompt.push_back((pos * 31 + 1) % 65);
  // Decoding around the borders of ranges, after a chunked prompt, and at positions long past.
  const auto logits = [&](jit::Tier tier, int threads) {
    Engine engine(file, {{tier}, threads, 0, {GetParam()}});
    std::vector<float> all;
    const auto keep = [&] { all.insert(all.end(), engine.logits().begin(), engine.logits().end()); };
    engine.feed_all(prompt, 0);
    keep();
    for (const int pos : {508, 509, 510, 511, 512, 513, 514, 254, 255, 256, 257, 3}) {
      engine.feed(pos % 65, pos, true);
      keep();
    }
    return all;
  };
  const std::vector<float> expected = logits(jit::host_tiers().back(), 1);
  for (const float logit : expected) ASSERT_TRUE(std::isfinite(logit));
  for (const jit::Tier tier : jit::host_tiers()) {
    for (int threads = 1; threads <= 8; ++threads) {
      if (tier != jit::host_tiers().back() && threads != 3 && threads != 8) continue;
      SCOPED_TRACE(fmt::format("tier {}, {} threads", to_string(tier), threads));
      expect_same_bits(logits(tier, threads), expected);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, SharedHeads,
                         ::testing::Values(jit::ElementType::f32, jit::ElementType::f16,
                                           jit::ElementType::bf16, jit::ElementType::q8_0));

// Threads are dealt evenly to heads, heads to threads, and none is left out.
TEST(Engine, HeadsAndThreadsAreDealtEvenly) {
  for (int heads = 1; heads <= 9; ++heads) {
    for (int threads = 1; threads <= 20; ++threads) {
      Config config;
      config.dim = 16 * heads;
      config.n_heads = config.n_kv_heads = heads;
      std::vector<int> parts_of(static_cast<std::size_t>(heads));
      for (int t = 0; t < threads; ++t) {
        const HeadShare share = HeadDeal(config, threads).of(t);
        ASSERT_LT(share.begin, share.end);
        if (threads > heads) {
          ASSERT_EQ(share.end, share.begin + 1);
        } else {
          ASSERT_EQ(share.parts, 1);
        }
        for (auto head = share.begin; head < share.end; ++head) {
          ASSERT_EQ(share.part, parts_of[static_cast<std::size_t>(head)]++);
          ASSERT_LE(share.parts, (threads + heads - 1) / heads);
        }
      }
      for (int t = 0; t < threads; ++t) {
        const HeadShare share = HeadDeal(config, threads).of(t);
        ASSERT_EQ(share.parts, parts_of[static_cast<std::size_t>(share.begin)]);
      }
    }
  }
}

TEST(Engine, AShorterContextChangesNothingButTheLimit) {
  const TempFile temp(write_v1(test::random_weights(toy_config(64, 96, 1, 4, 4, 100, 512, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  Engine whole(file, {{jit::host_tiers().back()}, 1, 0});
  Engine part(file, {{jit::host_tiers().back()}, 1, 17});
  EXPECT_EQ(whole.context(), 512);
  EXPECT_EQ(part.context(), 17);
  for (int pos = 0; pos < 17; ++pos) {
    whole.feed(pos, pos, true);
    part.feed(pos, pos, true);
    expect_same_bits({whole.logits().begin(), whole.logits().end()},
                     {part.logits().begin(), part.logits().end()});
  }
}

TEST(Engine, VersionsWithTheSameNumbersGiveTheSameBits) {
  for (const bool shared : {true, false}) {
    const auto weights = test::random_weights(toy_config(44, 172, 2, 11, 11, 511, 20, shared), 9);
    const TempFile v0(write_v0(weights));
    const TempFile v1(write_v1(weights));
    const jit::Tier best = jit::host_tiers().back();
    expect_same_bits(logits_of(read_llama2c(v1.path()), best, 2),
                     logits_of(read_llama2c(v0.path()), best, 2));
  }
}

// max over positions of |a - b| / |b|, Euclidean norms of a position's logits.
double largest_distance(const std::vector<float>& a, const std::vector<float>& b, std::size_t vocab) {
  double largest = 0;
  for (std::size_t begin = 0; begin < b.size(); begin += vocab) {
    double difference = 0;
    double norm = 0;
    for (std::size_t i = begin; i < begin + vocab; ++i) {
      difference += std::pow(double{a[i]} - double{b[i]}, 2);
      norm += std::pow(double{b[i]}, 2);
    }
    largest = std::max(largest, std::sqrt(difference / norm));
  }
  return largest;
}

// A code is off by at most half a step of max/127. Against the root mean square of what it stands for that is
// at most sqrt(group)/254 / sqrt(3) of it for evenly spread errors, both for weights and for activations; a
// token passes through four products in a row for each layer, and the classifier. The errors are taken to
// add up, although they are independent, which leaves room for what norms and softmax make of them.
double quantisation_bound(const Config& config, int group) {
  return (4 * config.n_layers + 1) * 2 * std::sqrt(group / 3.0) / 254;
}

void expect_quantised_near(const test::CheckpointWeights& weights, int group) {
  const TempFile v1(write_v1(weights));
  const TempFile v2(write_v2(weights, group));
  const auto vocab = static_cast<std::size_t>(weights.config.vocab_size);
  const std::vector<float> exact = logits_of(read_llama2c(v1.path()), jit::Tier::scalar, 1);
  for (const jit::Tier tier : jit::host_tiers()) {
    const double distance = largest_distance(logits_of(read_llama2c(v2.path()), tier, 2), exact, vocab);
    const double bound = quantisation_bound(weights.config, group);
    EXPECT_LT(distance, bound) << to_string(tier) << ", group " << group;
    EXPECT_GT(distance, bound / 1000) << "nothing was quantised, or the bound says nothing";
  }
}

TEST(Engine, QuantisedLogitsAreWithinTheBoundOfTheExactOnes) {
  expect_quantised_near(test::random_weights(toy_config(64, 192, 2, 8, 4, 512, 32, true), 3), 32);
  expect_quantised_near(test::random_weights(toy_config(64, 192, 2, 8, 4, 512, 32, false), 4), 64);
  expect_quantised_near(test::random_weights(toy_config(64, 172, 2, 8, 4, 512, 32, true), 5), 4);
}

// A value that is kept as `type` is off by at most so much of the root mean square of its
// block: for q8_0 as above, for 16-bit floats half a step of the last place. The errors
// of a layer's keys and values are taken to add up, and so are those of the layers.
double kv_bound(const Config& config, jit::ElementType type) {
  const double block = std::min(jit::kKvBlock, config.head_dim());
  const double error = type == jit::ElementType::q8_0   ? std::sqrt(block / 3) / 254
                       : type == jit::ElementType::bf16 ? 0x1p-9
                                                        : 0x1p-12;
  return 2 * config.n_layers * error;
}

TEST(Engine, EveryTypeOfCacheIsWithinItsBoundOfTheExactOne) {
  for (const Config& config : {toy_config(64, 192, 2, 8, 4, 512, 32, true),      // heads of 8
                               toy_config(288, 96, 2, 6, 3, 129, 19, false),     // heads of 48
                               toy_config(160, 96, 1, 2, 1, 129, 19, false)}) {  // heads of 80
    const TempFile temp(write_v1(test::random_weights(config, 8)));
    const ModelFile file = read_llama2c(temp.path());
    const std::vector<float> exact = logits_of(file, jit::Tier::scalar, 1, {jit::ElementType::f32});
    for (const jit::ElementType type :
         {jit::ElementType::f16, jit::ElementType::bf16, jit::ElementType::q8_0}) {
      const auto vocab = static_cast<std::size_t>(config.vocab_size);
      const double distance =
          largest_distance(logits_of(file, jit::host_tiers().back(), 2, {type}), exact, vocab);
      const double bound = kv_bound(config, type);
      EXPECT_LT(distance, bound) << name_of(config) << ", type " << static_cast<int>(type);
      EXPECT_GT(distance, bound / 1000) << "nothing was rounded, or the bound says nothing";
    }
  }
}

// Weights and activations are off by at most half a step of their last place, 2^-9 of their size; as above,
// the errors of a token's products are taken to add up.
TEST(Engine, Bf16IsWithinItsBoundOfTheExactLogits) {
  for (const bool shared : {true, false}) {
    const Config config = toy_config(64, 192, 2, 8, 4, 512, 32, shared);
    const TempFile temp(write_v1(test::random_weights(config, 8)));
    const ModelFile file = read_llama2c(temp.path());
    const auto vocab = static_cast<std::size_t>(config.vocab_size);
    const std::vector<float> exact = logits_of(file, jit::Tier::scalar, 1);
    const double distance = largest_distance(
        logits_of(file, jit::host_tiers().back(), 2, {.bf16 = Bf16Products::all_floats}), exact, vocab);
    const double bound = (4 * config.n_layers + 1) * 2 * 0x1p-9;
    EXPECT_LT(distance, bound);
    EXPECT_GT(distance, bound / 100) << "nothing was rounded, or the bound says nothing";
  }
}

TEST(Engine, QuantisedLogitsOfTheRealModelAreWithinTheBound) {
  const std::string path = test::test_data("stories260K.bin");
  LLAMAJIT_REQUIRE_FILE(path);
  expect_quantised_near(test::weights_of(read_llama2c(path)), 4);
}

TEST(Engine, EmitsTheRealModelsKernelsInUnderFiveMilliseconds) {
  const std::string path = test::test_data("stories260K.bin");
  LLAMAJIT_REQUIRE_FILE(path);
#ifdef NDEBUG
  const ModelFile file = read_llama2c(path);
  for (const jit::Tier tier : jit::host_tiers()) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) best = std::min(best, Engine(file, {{tier}, 2, 0}).code().emit_ms());
    EXPECT_LT(best, 5.0) << to_string(tier);
  }
#else
  GTEST_SKIP() << "only optimised builds promise it";
#endif
}

TEST(Engine, SaysWhenTheContextIsTooLong) {
  const TempFile temp(write_v1(test::random_weights(toy_config(8, 8, 1, 1, 1, 8, 20, true), 1)));
  const ModelFile file = read_llama2c(temp.path());
  try {
    const Engine engine(file, {{jit::Tier::scalar}, 1, 21});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("context: expected at most 20 tokens"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr(temp.path()));
  }
}

// So many layers of so many positions that few machines have the memory.
TEST(Engine, SaysWhatTheCacheWouldTake) {
  constexpr std::size_t kPositions = 1 << 20;
  auto weights = test::random_weights(toy_config(16, 1, 4000, 1, 1, 8, 20, true), 1);
  weights.config.seq_len = kPositions;
  const TempFile temp(write_v1(weights));
  const ModelFile file = read_llama2c(temp.path());
  const std::pair<jit::ElementType, std::size_t> cases[] = {// and the bytes of a key and a value
                                                            {jit::ElementType::f32, 2 * 16 * 4},
                                                            {jit::ElementType::f16, 2 * 16 * 2},
                                                            {jit::ElementType::q8_0, 2 * (16 + 4)}};
  for (const auto& [type, bytes] : cases) {
    const std::size_t needed = kPositions * (4000 * bytes + 2 * 16 * 4);  // with the angles
    if (needed <= physical_memory()) GTEST_SKIP() << "this machine has memory for " << needed << " bytes";
    try {
      const Engine engine(file, {{jit::Tier::scalar}, 1, 0, type});
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(fmt::format("need {} MiB", needed >> 20)));
    }
  }
}

}  // namespace
}  // namespace llamajit::engine_test
