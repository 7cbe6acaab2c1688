#include "runtime/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::sampler_test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

void softmax(std::span<float> x, float scale) {
  float maximum = -kInfinity;
  for (float& v : x) {
    v *= scale;
    ASSERT_TRUE(std::isfinite(v));  // what Sampler promises
    maximum = std::max(maximum, v);
  }
  float sum = 0;
  for (float& v : x) sum += v = std::exp(v - maximum);
  for (float& v : x) v /= sum;
}

// Leaves the "logits" as they are: they are the probabilities.
void as_is(std::span<float>, float) {}

std::map<TokenId, int> counts(const SamplerOptions& options, const std::vector<float>& probabilities,
                              int draws) {
  Sampler sampler(options, as_is);
  std::map<TokenId, int> found;
  for (int i = 0; i < draws; ++i) {
    std::vector<float> p = probabilities;
    ++found[sampler.sample(p)];
  }
  return found;
}

std::vector<TokenId> kept(const SamplerOptions& options, const std::vector<float>& probabilities) {
  std::vector<TokenId> tokens;
  for (const auto& [token, count] : counts(options, probabilities, 4000)) tokens.push_back(token);
  return tokens;
}

// A probability for each of 2^24 random numbers is too much memory; 4096 intervals show the first 12 bits,
// and the token is the random number rounded down.
std::vector<TokenId> first_draws(std::uint64_t seed, int n) {
  Sampler sampler({.temperature = 1, .seed = seed}, as_is);
  std::vector<TokenId> drawn;
  for (int i = 0; i < n; ++i) {
    std::vector<float> p(4096, 1.0F / 4096);
    drawn.push_back(sampler.sample(p));
  }
  return drawn;
}

TEST(Sampler, DrawsTheRandomNumbersOfXorshiftStar) {
  // The top 24 bits of the outputs, computed with Python's integers from the formula.
  const std::map<std::uint64_t, std::vector<int>> expected = {
      {1, {4711630, 11259814, 12177677, 5092376, 942489, 13133643}},
      {42, {5688906, 13124075, 13256299, 15838407, 12824397, 14021388}},
      {1234567890123456789, {6358029, 10139254, 1912353, 15543265, 9052068, 4693859}},
      {0, {885683, 5555276, 11027955, 8220171, 9492694, 10348239}},  // that is, of 0x9E3779B97F4A7C15
  };
  for (const auto& [seed, bits] : expected) {
    std::vector<TokenId> tokens;
    for (const int b : bits) tokens.push_back(b >> 12);
    EXPECT_EQ(first_draws(seed, 6), tokens) << "seed " << seed;
  }
}

TEST(Sampler, DrawsWithTheFrequenciesOfTheProbabilities) {
  const std::vector<float> p = {0.4F, 0.3F, 0.0F, 0.2F, 0.1F};
  const int draws = 100000;
  const auto check = [&](const SamplerOptions& options, const std::vector<double>& expected) {
    double chi_squared = 0;
    auto found = counts(options, p, draws);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const int n = found[static_cast<TokenId>(i)];
      if (expected[i] == 0) {
        EXPECT_EQ(n, 0) << i;
      } else {
        chi_squared += (n - expected[i] * draws) * (n - expected[i] * draws) / (expected[i] * draws);
      }
    }
    EXPECT_LT(chi_squared,
              16.3);  // 3 degrees of freedom: exceeded once in 1,000 seeds, and the seed is fixed
  };
  check({.temperature = 1, .seed = 7}, {0.4, 0.3, 0, 0.2, 0.1});
  check({.temperature = 1, .top_p = 0.8F, .seed = 7}, {4 / 9., 3 / 9., 0, 2 / 9., 0});
  check({.temperature = 1, .top_k = 2, .seed = 7}, {4 / 7., 3 / 7., 0, 0, 0});
  check({.temperature = 1, .min_p = 0.4F, .seed = 7}, {4 / 9., 3 / 9., 0, 2 / 9., 0});
}

TEST(Sampler, KeepsTheSetsThatTheOptionsName) {
  const std::vector<float> p = {0.05F, 0.4F, 0.1F, 0.3F, 0.15F};
  using Set = std::vector<TokenId>;
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.39F}, p), (Set{1}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.41F}, p), (Set{1, 3}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.84F}, p), (Set{1, 3, 4}));
  EXPECT_EQ(kept({.temperature = 1, .top_k = 1}, p), (Set{1}));
  EXPECT_EQ(kept({.temperature = 1, .top_k = 3}, p), (Set{1, 3, 4}));
  EXPECT_EQ(kept({.temperature = 1, .top_k = 99}, p), (Set{0, 1, 2, 3, 4}));
  EXPECT_EQ(kept({.temperature = 1, .min_p = 0.3F}, p), (Set{1, 3, 4}));
  EXPECT_EQ(kept({.temperature = 1, .min_p = 0.99F}, p), (Set{1}));
  // 0.4 is 57% of 0.4 + 0.3: top_p works on what top_k kept.
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.5F, .top_k = 2}, p), (Set{1}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.6F, .top_k = 2}, p), (Set{1, 3}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.999F, .top_k = 4, .min_p = 0.3F}, p), (Set{1, 3, 4}));
}

TEST(Sampler, OnATieTheLowerIdIsKept) {
  const std::vector<float> p = {0.1F, 0.3F, 0.3F, 0.3F};
  EXPECT_EQ(kept({.temperature = 1, .top_k = 2}, p), (std::vector<TokenId>{1, 2}));
  EXPECT_EQ(kept({.temperature = 1, .top_p = 0.5F}, p), (std::vector<TokenId>{1, 2}));
}

// As llama2.c defines it, over the whole sorted list.
TokenId top_p_plainly(const std::vector<float>& p, float top_p, float coin) {
  std::vector<std::pair<float, TokenId>> sorted;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] >= (1 - top_p) / static_cast<float>(p.size() - 1)) sorted.emplace_back(-p[i], TokenId(i));
  }
  std::sort(sorted.begin(), sorted.end());
  float sum = 0;
  std::size_t n = 0;
  while (n < sorted.size() && sum <= top_p) sum -= sorted[n++].first;
  float cdf = 0;
  for (std::size_t i = 0; i < n; ++i) {
    cdf -= sorted[i].first;
    if (coin * sum < cdf) return sorted[i].second;
  }
  return sorted[n - 1].second;
}

TEST(Sampler, TopPEqualsThePlainDefinitionOnLargeVocabularies) {
  for (const float sharpness : {0.0F, 0.5F, 2.0F, 8.0F}) {
    for (const float top_p : {0.1F, 0.9F, 0.99F}) {
      Sampler sampler({.temperature = 1, .top_p = top_p, .seed = 1}, as_is);
      std::uint32_t state = 1;
      for (const int coin : {4711630, 11259814, 12177677, 5092376, 942489, 13133643}) {  // of seed 1
        std::vector<float> p(5000);
        for (float& x : p) {
          state = state * 1664525 + 1013904223;
          x = sharpness * static_cast<float>(state >> 20) / 256.0F;  // 4096 values: ties
        }
        softmax(p, 1);
        const TokenId expected = top_p_plainly(p, top_p, static_cast<float>(coin) / 16777216.0F);
        EXPECT_EQ(sampler.sample(p), expected) << sharpness << ' ' << top_p << ' ' << coin;
      }
    }
  }
}

TEST(Sampler, TemperatureScalesTheLogits) {
  float scale = 0;
  Sampler sampler({.temperature = 0.8F}, [&](std::span<float>, float s) { scale = s; });
  std::vector<float> logits = {1, 2};
  sampler.sample(logits);
  EXPECT_EQ(scale, 1.0F / 0.8F);
}

TEST(Sampler, TemperatureZeroTakesTheFirstMaximum) {
  Sampler sampler({}, nullptr);
  EXPECT_TRUE(sampler.is_argmax());
  std::vector<float> logits = {-3, 5, 2, 5};
  EXPECT_EQ(sampler.sample(logits), 1);
  logits = {-kInfinity, -7, -8};
  EXPECT_EQ(sampler.sample(logits), 1);
}

TEST(Sampler, TheLowestTemperaturesAreArgmaxAndAllStayFinite) {
  for (const float temperature : {1e-45F, 1e-30F, 1e-20F, 1e-10F}) {
    Sampler sampler({.temperature = temperature}, softmax);
    std::vector<float> logits = {1, 30, -kInfinity, 29.999F};
    EXPECT_EQ(sampler.sample(logits), 1) << temperature;
  }
}

TEST(Sampler, LogitsWithoutALargestNumberHaveNoToken) {
  const std::vector<SamplerOptions> all = {
      {},
      {.repeat_penalty = 1.3F},
      {.temperature = 1},
      {.temperature = 1e9F},
      {.temperature = 1, .top_p = 0.9F},
      {.temperature = 1, .top_k = 30},
      {.temperature = 1, .top_p = 0.9F, .top_k = 30, .min_p = 0.01F, .repeat_penalty = 1.3F},
  };
  for (const SamplerOptions& options : all) {
    Sampler sampler(options, softmax);
    for (const float bad : {kNaN, kInfinity}) {
      for (std::size_t at = 0; at < 100; ++at) {
        std::vector<float> logits(100, 1.0F);
        logits[at] = bad;
        EXPECT_EQ(sampler.sample(logits), -1) << bad << " at " << at;
      }
    }
    std::vector<float> nothing(100, -kInfinity);
    EXPECT_EQ(sampler.sample(nothing), -1);
    EXPECT_EQ(sampler.sample({}), -1);
    std::vector<float> one(100, -kInfinity);
    one[37] = -5;
    EXPECT_EQ(sampler.sample(one), 37);
  }
}

TEST(Sampler, ANaNFromSoftmaxIsNotDrawnEither) {
  for (const float top_p : {0.9F, 1.0F}) {
    EXPECT_EQ(kept({.temperature = 1, .top_p = top_p}, {0.0F, 1.0F, 0.0F}), std::vector<TokenId>{1});
    Sampler sampler({.temperature = 1, .top_p = top_p}, [](std::span<float> x, float) {
      for (float& v : x) v = kNaN;
    });
    std::vector<float> logits = {1, 2, 3};
    EXPECT_EQ(sampler.sample(logits), 0);
  }
}

TEST(Sampler, PenaltyTakesFromPositiveAndNegativeLogitsOnceForEachToken) {
  Sampler sampler({.repeat_penalty = 2}, nullptr);
  EXPECT_FALSE(sampler.is_argmax());
  for (const TokenId token : {0, 0, 0, 2, -1, 99}) sampler.accept(token);  // the last two are no tokens
  std::vector<float> logits = {8, 1, -3, 0};
  EXPECT_EQ(sampler.sample(logits), 0);
  EXPECT_EQ(logits, (std::vector<float>{4, 1, -6, 0}));
  logits = {1.5F, 1, -3, 0};
  EXPECT_EQ(sampler.sample(logits), 1);
}

TEST(Sampler, PenaltyForgetsWhatLeavesTheWindow) {
  const auto penalised = [](int window) {
    Sampler sampler({.repeat_penalty = 2, .repeat_last_n = window}, nullptr);
    std::vector<float> logits;
    for (TokenId token = 0; token < 5; ++token) {
      sampler.accept(token);
      logits.assign(5, 4);
      sampler.sample(logits);
    }
    return logits;
  };
  EXPECT_EQ(penalised(0), (std::vector<float>{4, 4, 4, 4, 4}));
  EXPECT_EQ(penalised(1), (std::vector<float>{4, 4, 4, 4, 2}));
  EXPECT_EQ(penalised(3), (std::vector<float>{4, 4, 2, 2, 2}));
  EXPECT_EQ(penalised(-1), (std::vector<float>{2, 2, 2, 2, 2}));
  EXPECT_EQ(penalised(std::numeric_limits<int>::max()), (std::vector<float>{2, 2, 2, 2, 2}));
  EXPECT_TRUE(Sampler({.repeat_penalty = 2, .repeat_last_n = 0}, nullptr).is_argmax());
}

TEST(Sampler, RefusesValuesThatMakeNoSenseByName) {
  const std::vector<std::pair<std::string, SamplerOptions>> wrong = {
      {"temperature", {.temperature = -0.1F}},
      {"temperature", {.temperature = kNaN}},
      {"temperature", {.temperature = kInfinity}},
      {"top_p", {.top_p = 0}},
      {"top_p", {.top_p = 1.01F}},
      {"top_p", {.top_p = kNaN}},
      {"top_k", {.top_k = -1}},
      {"min_p", {.min_p = -0.1F}},
      {"min_p", {.min_p = 1}},
      {"min_p", {.min_p = kNaN}},
      {"repeat_penalty", {.repeat_penalty = 0}},
      {"repeat_penalty", {.repeat_penalty = -1}},
      {"repeat_penalty", {.repeat_penalty = kNaN}},
      {"repeat_last_n", {.repeat_last_n = -2}},
  };
  for (const auto& [name, options] : wrong) {
    try {
      Sampler sampler(options, softmax);
      ADD_FAILURE() << name << " was accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(std::string(error.what()).find(name), 0u) << error.what();
    }
  }
  EXPECT_THROW(Sampler({.temperature = 1}, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace llamajit::sampler_test
