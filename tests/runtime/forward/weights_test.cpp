#include "runtime/forward/weights.h"

#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "tests/support/checkpoint_writer.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::weights_test {
namespace {

std::string refusal(const CheckpointWeights& weights, int threads, Bf16Products bf16) {
  const TempFile temp(write_v1(weights));
  const ModelFile file = read_llama2c(temp.path());
  Team team(threads);
  try {
    Weights packed(file, team, bf16);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

// What attention clamps away and what a norm multiplies by is seen all the same, in every tensor.
TEST(WeightsOfAFile, OneThatIsNoFiniteNumberIsRefusedByNameAndPlace) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const CheckpointWeights good = random_weights(toy_config(44, 60, 2, 11, 11, 65, 20, false), 3);
  struct Case {
    const char* name;
    std::vector<float>& (*tensor)(CheckpointWeights&);
    std::size_t cols;
  };
  using W = CheckpointWeights;
  const std::vector<Case> cases = {
      {"embedding", [](W& w) -> std::vector<float>& { return w.embedding; }, 44},
      {"layers.1.att_norm", [](W& w) -> std::vector<float>& { return w.layers[1].att_norm; }, 44},
      {"layers.0.wq", [](W& w) -> std::vector<float>& { return w.layers[0].wq; }, 44},
      {"layers.1.wk", [](W& w) -> std::vector<float>& { return w.layers[1].wk; }, 44},
      {"layers.0.wv", [](W& w) -> std::vector<float>& { return w.layers[0].wv; }, 44},
      {"layers.0.wo", [](W& w) -> std::vector<float>& { return w.layers[0].wo; }, 44},
      {"layers.0.ffn_norm", [](W& w) -> std::vector<float>& { return w.layers[0].ffn_norm; }, 44},
      {"layers.1.gate", [](W& w) -> std::vector<float>& { return w.layers[1].gate; }, 44},
      {"layers.0.down", [](W& w) -> std::vector<float>& { return w.layers[0].down; }, 60},
      {"layers.0.up", [](W& w) -> std::vector<float>& { return w.layers[0].up; }, 44},
      {"final_norm", [](W& w) -> std::vector<float>& { return w.final_norm; }, 44},
      {"classifier", [](W& w) -> std::vector<float>& { return w.classifier; }, 44},
  };
  for (const Case& c : cases) {
    for (const float bad : {kNaN, kInfinity, -kInfinity}) {
      for (const int threads : {1, 3}) {
        W weights = good;
        std::vector<float>& tensor = c.tensor(weights);
        const std::size_t at = tensor.size() * 2 / 3;
        tensor[at] = tensor.back() = bad;  // the first is named
        EXPECT_THAT(refusal(weights, threads, Bf16Products::none),
                    ::testing::EndsWith(fmt::format("{}: expected finite weights, found {} at ({}, {})",
                                                    c.name, bad, at / c.cols, at % c.cols)));
      }
    }
  }
  EXPECT_EQ(refusal(good, 3, Bf16Products::all_floats), "");
}

TEST(WeightsOfAFile, OneThatRoundingMakesInfiniteIsRefused) {
  CheckpointWeights weights = random_weights(toy_config(44, 60, 2, 11, 11, 65, 20, false), 3);
  weights.layers[1].wo[5] = std::numeric_limits<float>::max();
  EXPECT_EQ(refusal(weights, 2, Bf16Products::none), "");
  EXPECT_THAT(refusal(weights, 2, Bf16Products::all_floats),
              ::testing::EndsWith("layers.1.wo: expected weights in bf16's range, found one beyond it"));
}

// A reader of one's own may forget a tensor.
TEST(WeightsOfAFile, OneThatIsMissingIsRefusedByName) {
  for (const bool shared : {false, true}) {
    const TempFile temp(write_v1(random_weights(toy_config(44, 60, 2, 11, 11, 65, 20, shared), 3)));
    Team team(2);
    const auto refusal_without = [&](const auto& take_away) -> std::string {
      ModelFile file = read_llama2c(temp.path());
      take_away(file);
      try {
        const Weights packed(file, team, Bf16Products::none);
      } catch (const std::runtime_error& error) {
        return error.what();
      }
      return "";
    };
    const auto expected = [&](const char* name) {
      return fmt::format("{}: {}: expected a matrix, found none", temp.path(), name);
    };
    EXPECT_EQ(refusal_without([](ModelFile& file) { file.classifier = {}; }),
              shared ? "" : expected("classifier"));
    EXPECT_EQ(refusal_without([](ModelFile& file) { file.embedding = {}; }), expected("embedding"));
    EXPECT_EQ(refusal_without([](ModelFile& file) { file.layers[1].wo = {}; }), expected("layers.1.wo"));
    EXPECT_EQ(refusal_without([](ModelFile& file) { file.layers[0].down = {}; }), expected("layers.0.down"));
  }
}

}  // namespace
}  // namespace llamajit::test::weights_test
