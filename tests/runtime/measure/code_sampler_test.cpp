#include "runtime/measure/code_sampler.h"

#include <numeric>

#include <gtest/gtest.h>
#include <signal.h>

#include "runtime/files/llama2c.h"
#include "runtime/measure/limits.h"
#include "tests/support/toy_model.h"

namespace llamajit::test::code_sampler_test {
namespace {

class Sampler : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!isa_.generates()) GTEST_SKIP() << "this CPU runs no generated code";
    const Config config = toy_config(64, 96, 2, 8, 4, 33, 40, false);
    const std::string path = directory_.write("m.bin", write_v2(random_weights(config, 7), 32));
    engine_.emplace(read_llama2c(path), EngineOptions{isa_});
  }

  const jit::Isa isa_{jit::host_tiers().back()};
  TempDirectory directory_;
  std::optional<Engine> engine_;
};

TEST_F(Sampler, CountsEachSampleOnce) {
  const CodeSamples samples = sample_code(*engine_, 0.3, [&] { engine_->feed(1, 0, true); });
  EXPECT_EQ(samples.at.size(), engine_->code().code_bytes());
  EXPECT_EQ(samples.in(0, samples.at.size()), samples.inside);
  EXPECT_GT(samples.inside, 20);
  EXPECT_GE(samples.seconds, 0.3);
}

// A kernel that a token does not call cannot have been seen.
TEST_F(Sampler, FindsKernelsThatRanAndNoOthers) {
  const CodeSamples samples = sample_code(*engine_, 0.3, [&] { engine_->feed(1, 0, true); });
  std::int64_t matvec = 0;
  for (const jit::KernelInfo& kernel : engine_->code().kernels()) {
    const std::int64_t n = samples.in(kernel.offset, kernel.offset + kernel.size);
    if (std::holds_alternative<jit::MatvecKey>(kernel.key)) matvec += n;
    if (std::holds_alternative<jit::MatmulKey>(kernel.key)) {
      EXPECT_EQ(n, 0) << kernel.name;
    }
    if (std::holds_alternative<jit::SoftmaxKey>(kernel.key)) {
      EXPECT_EQ(n, 0) << kernel.name;
    }
  }
  EXPECT_GT(matvec, 0);
}

TEST_F(Sampler, RunsOnceAtLeastAndTellsWhatIsOutside) {
  int runs = 0;
  const CodeSamples samples = sample_code(*engine_, 0, [&] { ++runs; });
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(samples.inside, 0);
  volatile int idle = 0;
  EXPECT_GT(sample_code(*engine_, 0.1, [&] { idle = 1; }).outside, 20);
}

TEST_F(Sampler, LeavesTheSignalAsItWas) {
  struct sigaction before {};
  before.sa_handler = SIG_IGN;
  sigaction(SIGPROF, &before, nullptr);
  sample_code(*engine_, 0.01, [] {});
  struct sigaction after {};
  sigaction(SIGPROF, nullptr, &after);
  EXPECT_EQ(after.sa_handler, SIG_IGN);
  signal(SIGPROF, SIG_DFL);
}

TEST_F(Sampler, LimitsAreRates) {
  const MachineLimits limits(*engine_);
  EXPECT_GT(limits.read_weights(), 1e8);
  EXPECT_GT(limits.read_cached(), 1e8);
  EXPECT_GT(limits.multiply_f32(), 1e8);
  EXPECT_GT(limits.dot_u8s8(), 1e8);
}

}  // namespace
}  // namespace llamajit::test::code_sampler_test
