// Damaged checkpoints all the way into the engine: an error or a model, soon, and never a signal.
#include <cmath>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "runtime/files/llama2c.h"
#include "runtime/forward/engine.h"
#include "tests/support/damage.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"
#include "tests/support/toy_model.h"

namespace llamajit::damaged_file_test {
namespace {

using test::fails_cleanly;
using test::seconds_used;
using test::TempFile;
using ::testing::HasSubstr;

constexpr int kGroup = 8;
const Config kConfig = test::toy_config(32, 48, 2, 4, 2, 20, 12, false);

std::string content_of(int version) {
  const auto weights = test::random_weights(kConfig, 7);
  if (version == 0) return write_v0(weights);
  return version == 1 ? write_v1(weights) : write_v2(weights, kGroup);
}

std::size_t header_bytes(int version) {
  return version == 0 ? 28 : 256;
}

void load(const std::string& path) {
  const ModelFile file = read_llama2c(path);
  Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
  engine.feed(1, 0, true);
  EXPECT_TRUE(std::isfinite(engine.logits()[0]));
}

class DamagedFile : public ::testing::TestWithParam<int> {};

TEST_P(DamagedFile, TruncatedAnywhereIsAnError) {
  const std::string content = content_of(GetParam());
  const std::size_t header = header_bytes(GetParam());
  TempFile temp(content);
  for (std::size_t i = 0; i < 1000; ++i) {
    const std::size_t size = content.size() - 1 - (content.size() - 1 - header) * i / 1000;
    temp.resize(size);
    EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
  }
  for (std::size_t size = header + 1; size-- > 0;) {
    temp.resize(size);
    EXPECT_TRUE(fails_cleanly(temp.path(), fmt::format("cut to {}", size), load));
  }
}

TEST_P(DamagedFile, AnyFlippedHeaderBitIsAnErrorOrAModel) {
  const std::string content = content_of(GetParam());
  TempFile temp(content);
  for (std::size_t bit = 0; bit < header_bytes(GetParam()) * 8; bit += test::kSanitized ? 5 : 1) {
    temp.flip_bit(bit);
    fails_cleanly(temp.path(), fmt::format("bit {} of byte {}", bit % 8, bit / 8), load);
    temp.flip_bit(bit);
  }
}

// Weights of any bits are weights, if they are finite: what they give is no error, but it must not crash either.
TEST_P(DamagedFile, FlippedDataBitsRunToTheEndOrAreNoFiniteWeights) {
  const std::string content = content_of(GetParam());
  const std::size_t header = header_bytes(GetParam());
  int ran = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    std::string damaged = content;
    const std::size_t at = header + (content.size() - 1 - header) * i / 200;
    const char byte = i % 2 == 0 ? '\xFF' : '\x7F';  // as an f32 mostly NaN, or 3.4e38
    for (std::size_t b = at; b < std::min(at + 4, content.size()); ++b) damaged[b] = byte;
    const TempFile temp(damaged);
    const ModelFile file = read_llama2c(temp.path());
    try {
      Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
      for (int pos = 0; pos < 12; ++pos) engine.feed(pos, pos, true);
      EXPECT_GE(engine.argmax(), 0);
      EXPECT_LT(engine.argmax(), kConfig.vocab_size);
      ++ran;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("expected finite weights, found "));
    }
  }
  EXPECT_GE(ran, 50);
}

INSTANTIATE_TEST_SUITE_P(Versions, DamagedFile, ::testing::Values(0, 1, 2));

// The longest that the reader takes; its cache costs nothing until it is used, its table of angles little.
TEST(HugeContext, OfATinyModelIsSoonReady) {
  Config config = kConfig;
  config.seq_len = 1 << 20;
  const TempFile temp(write_v1(test::random_weights(config, 7)));
  const ModelFile file = read_llama2c(temp.path());
  const double start = seconds_used();
  try {
    Engine engine(file, {{jit::host_tiers().back()}, 1, 0});
    engine.feed(1, 0, true);
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("context: 1048576 tokens need"))
        << "a machine with too little memory says so";
  }
  EXPECT_LT(seconds_used() - start, 1.0);
}

}  // namespace
}  // namespace llamajit::damaged_file_test
