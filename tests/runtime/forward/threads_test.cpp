// The threads of an engine write and read each other's buffers between barriers. ThreadSanitizer sees no
// access of generated code, but each of a twin: so these engines run on the scalar tier, and a barrier that a
// plan lacks is a race that the tsan preset reports. Without ThreadSanitizer, the bits are compared.
#include <cstddef>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::threads_test {
namespace {

using test::TempFile;
using test::toy_config;

constexpr int kPrompt = 21;  // a chunk of tokens, with some more than sixteen
constexpr int kTokens = 4;   // one by one, behind the prompt

struct Case {
  std::string_view name;
  std::string checkpoint;
  Precision precision;
};

Case case_of(std::size_t index) {
  switch (index) {
    case 0:
      return {"f32", write_v1(test::random_weights(toy_config(64, 96, 2, 8, 4, 100, 32, true), 1)), {}};
    case 1:
      return {"q8_0", write_v2(test::random_weights(toy_config(64, 96, 2, 8, 4, 100, 32, true), 2), 32), {}};
    case 2:
      return {"bf16",
              write_v1(test::random_weights(toy_config(64, 96, 2, 8, 4, 100, 32, false), 3)),
              {.bf16 = Bf16Products::all_floats}};
    // Threads cannot share these heads as whole tiles: one more barrier stands before the attention.
    case 3:
      return {
          "odd heads", write_v1(test::random_weights(toy_config(44, 60, 2, 11, 11, 90, 32, true), 4)), {}};
    // The rows of these matrices are dealt out while they are multiplied.
    default:
      return {"dealt", write_v1(test::random_weights(toy_config(128, 1024, 1, 4, 2, 4096, 32, true), 5)), {}};
  }
}

std::vector<float> logits_of(const ModelFile& file, const Precision& precision, int threads) {
  Engine engine(file, {{jit::Tier::scalar}, threads, 0, precision});
  std::vector<TokenId> prompt(kPrompt);
  std::iota(prompt.begin(), prompt.end(), 1);
  engine.feed_all(prompt, 0);
  std::vector<float> all;
  const auto keep = [&] { all.insert(all.end(), engine.logits().begin(), engine.logits().end()); };
  keep();
  for (int pos = kPrompt; pos < kPrompt + kTokens; ++pos) {
    engine.feed(pos * 3 % file.config.vocab_size, pos, true);
    keep();
  }
  return all;
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

class EnginesOn : public ::testing::TestWithParam<std::size_t> {};

TEST_P(EnginesOn, ManyThreadsShareBuffersWithoutARace) {
  const Case c = case_of(GetParam());
  SCOPED_TRACE(c.name);
  const TempFile temp(c.checkpoint);
  const ModelFile file = read_llama2c(temp.path());
  const std::vector<float> expected = logits_of(file, c.precision, 1);
  for (const int threads : {2, 3, 5}) expect_same_bits(logits_of(file, c.precision, threads), expected);
}

INSTANTIATE_TEST_SUITE_P(All, EnginesOn, ::testing::Range(std::size_t{0}, std::size_t{5}));

// More threads than K/V heads share these: each takes some
// of attention's ranges, and one merges their results.
TEST(EngineThreads, SharedHeadsMeetBeforeTheyMerge) {
  const TempFile temp(write_v1(test::random_weights(toy_config(32, 44, 1, 2, 1, 65, 600, true), 6)));
  const ModelFile file = read_llama2c(temp.path());
  const auto logits = [&](int threads) {
    Engine engine(file, {{jit::Tier::scalar}, threads, 0});
    std::vector<TokenId> prompt(530);
    for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(i * 31 % 65);
    engine.feed_all(prompt, 0);
    engine.feed(7, 530, true);
    return std::vector<float>(engine.logits().begin(), engine.logits().end());
  };
  const std::vector<float> expected = logits(1);
  for (const int threads : {2, 4}) expect_same_bits(logits(threads), expected);
}

}  // namespace
}  // namespace llamajit::threads_test
