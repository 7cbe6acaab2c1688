// The choice between variants: what it chooses, that measuring
// leaves nothing open, and that no bit depends on it.
#include "runtime/forward/tuning.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::tuning_test {
namespace {

using jit::Epilogue;
using jit::FormatKind;
using jit::MatvecKey;
using jit::Tier;
using test::toy_config;

constexpr jit::Format kF32{FormatKind::f32, 0};
constexpr jit::Format kQ8{FormatKind::int8, 32};

TEST(Tuning, ChoosesTheRuleUnlessItKnowsBetter) {
  const MatvecKey floats{kF32, 64, 32, Epilogue::add};
  const MatvecKey quantised{kQ8, 64, 32, Epilogue::add};
  const jit::Isa wide{Tier::avx512};
  Tuning tuning;
  EXPECT_EQ(tuning.choose(floats, wide).streams, 2);
  EXPECT_EQ(tuning.choose(quantised, wide).streams, 1);
  tuning.streams[kernel_name(floats)] = 4;
  EXPECT_EQ(tuning.choose(floats, wide).streams, 4);
  EXPECT_EQ(tuning.choose(quantised, wide).streams, 1);
  for (const Tier tier : {Tier::scalar, Tier::avx2, Tier::avxvnni}) {
    EXPECT_EQ(tuning.choose(floats, {tier}).streams, 1) << to_string(tier);
  }
}

std::vector<float> logits_of(Engine& engine) {
  std::vector<float> all;
  for (int pos = 0; pos < 8; ++pos) {
    engine.feed(pos * 3, pos, true);
    all.insert(all.end(), engine.logits().begin(), engine.logits().end());
  }
  return all;
}

class TuningOf : public ::testing::TestWithParam<int> {
 protected:
  TuningOf() {
    const auto weights = test::random_weights(toy_config(64, 96, 2, 8, 4, 90, 40, false), 7);
    temp_.emplace(GetParam() == 0 ? write_v1(weights) : write_v2(weights, GetParam()));
    file_.emplace(read_llama2c(temp_->path()));
  }
  Engine engine(const Tuning& tuning = {}) const {
    return Engine(*file_, {{jit::host_tiers().back()}, 2, 0, {}, tuning});
  }
  // A tuning of all matvecs of one token.
  static Tuning all(Engine& engine, int streams) {
    Tuning tuning;
    for (const jit::KernelInfo& kernel : engine.code().kernels()) {
      if (const auto* key = std::get_if<MatvecKey>(&kernel.key); key != nullptr && key->tokens == 1) {
        MatvecKey plain = *key;
        plain.streams = 1;
        tuning.streams[kernel_name(plain)] = streams;
      }
    }
    return tuning;
  }

  std::optional<test::TempFile> temp_;
  std::optional<ModelFile> file_;
};

TEST_P(TuningOf, AllVariantsGiveTheSameBits) {
  Engine plain = engine();
  const std::vector<float> expected = logits_of(plain);
  for (const int streams : {1, 2, 4}) {
    plain.use(all(plain, streams));
    EXPECT_EQ(logits_of(plain), expected) << streams << " streams";
    Engine other = engine(all(plain, streams));
    EXPECT_EQ(logits_of(other), expected) << streams << " streams from the start";
  }
}

TEST_P(TuningOf, MeasuringLeavesNoMatvecUnknownAndChangesNoBit) {
  if (!jit::Isa{jit::host_tiers().back()}.wide()) GTEST_SKIP() << "this CPU's tiers have one variant";
  Engine measured = engine();
  const std::vector<float> expected = logits_of(measured);
  tune(measured);
  const Tuning found = measured.tuning();
  EXPECT_EQ(logits_of(measured), expected);
  ASSERT_FALSE(found.streams.empty());
  for (const auto& [name, streams] : all(measured, 0).streams)
    EXPECT_TRUE(found.streams.contains(name)) << name;
  for (const auto& [name, streams] : found.streams) {
    EXPECT_TRUE(streams == 1 || streams == 2 || streams == 4) << name << ": " << streams;
  }
}

TEST_P(TuningOf, WhatIsKnownIsNotMeasuredAgain) {
  Engine engine_with_all = engine();
  const Tuning known = all(engine_with_all, 4);
  engine_with_all.use(known);
  tune(engine_with_all);
  EXPECT_EQ(engine_with_all.tuning().streams, known.streams);
}

INSTANTIATE_TEST_SUITE_P(Formats, TuningOf, ::testing::Values(0, 32), [](const auto& shape) {
  return shape.param == 0 ? std::string("f32") : "q8_0_" + std::to_string(shape.param);
});

}  // namespace
}  // namespace llamajit::tuning_test
