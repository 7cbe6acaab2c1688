// llamajit inspect and llamajit verify.
#include <chrono>
#include <cstdint>

#include <fmt/format.h>

#include "jit/base/isa.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/program_fixture.h"
#include "tests/support/sanitized.h"

namespace llamajit::test::inspect_verify_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Config kConfig = toy_config(64, 96, 2, 8, 4, 33, 40, false);

TEST(Inspect, ShowsHeaderAndTensors) {
  const TempDirectory directory;
  const auto weights = random_weights(kConfig, 7);
  const std::string v2 = directory.write("v2.bin", write_v2(weights, 32));
  const ChildResult result = run_program({"inspect", v2});
  expect_success(result);
  EXPECT_EQ(result.err, "");
  for (const char* part :
       {"llama2.c v2 (Q8_0, groups of 32)", "dim           64\n", "n_kv_heads    4\n", "head_dim      8\n",
        "vocab_size    33\n", "layers.1.down", "(64, 96)", "classifier", "21 tensors"}) {
    EXPECT_THAT(result.out, HasSubstr(part)) << result.out;
  }
}

// Each key takes as long as the one before.
TEST(Inspect, TakesManyKeys) {
  constexpr std::uint64_t kKeys = 200'000;
  std::string content = "GGUF" + bytes_of(std::uint32_t{3}) + bytes_of(std::uint64_t{0}) + bytes_of(kKeys);
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    content += gguf_string(fmt::format("k{}", i)) + bytes_of(std::uint32_t{0}) + static_cast<char>(i % 100);
  }
  const TempDirectory directory;
  const std::string path = directory.write("keys.gguf", content);
  ChildOptions options;
  options.limit = std::chrono::seconds(kSanitized ? 60 : 20);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"inspect", path}, {"inspect", "--json", path}}) {
    const ChildResult result = run_program(words, options);
    expect_success(result);
    EXPECT_THAT(result.out, HasSubstr("k199999"));
  }
}

TEST(VerifyCommand, EndsWithSuccessAndSaysItsBound) {
  const TempDirectory directory;
  const auto weights = random_weights(kConfig, 7);
  for (const std::string& content : {write_v0(weights), write_v2(weights, 32)}) {
    const ChildResult result = run_program({"verify", directory.write("m.bin", content)});
    expect_success(result);
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, HasSubstr("bound: 0 different values"));
    EXPECT_THAT(result.out, Not(HasSubstr("FAILED")));
    for (const jit::Tier tier : jit::host_tiers()) {
      EXPECT_THAT(result.out, HasSubstr(std::string(to_string(tier))));
    }
  }
}

TEST(VerifyCommand, TakesOneTier) {
  const TempDirectory directory;
  const std::string model = directory.write("m.bin", write_v0(random_weights(kConfig, 7)));
  const ChildResult result = run_program({"verify", model, "--isa", "scalar"});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr(" scalar "));
  EXPECT_THAT(result.out, Not(HasSubstr("avx2")));
}

TEST(VerifyCommand, TakesATypeOfCache) {
  const TempDirectory directory;
  const std::string model = directory.write("m.bin", write_v0(random_weights(kConfig, 7)));
  const ChildResult result = run_program({"verify", model, "--kv-type", "q8_0"});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("attention_q8_0_"));
  EXPECT_THAT(result.out, Not(HasSubstr("attention_f32_")));
}

// Where every weight is so large that sums become NaN or infinity, all tiers have these at the same places.
TEST(VerifyCommand, TakesWeightsWhoseSumsAreNoNumbers) {
  const TempDirectory directory;
  std::string content = write_v1(random_weights(kConfig, 7));
  constexpr std::uint32_t kBits[] = {0x7F7FFFFF, 0xFF7FFFFF, 0x7F000000, 0xFF000001, 0x00000001};
  for (std::size_t at = 256; at < content.size(); at += 4) {
    content.replace(at, 4, reinterpret_cast<const char*>(&kBits[at / 4 * 2654435761U % 1000 % 5]), 4);
  }
  const ChildResult result = run_program({"verify", directory.write("m.bin", content)});
  expect_success(result);
  EXPECT_THAT(result.out, Not(HasSubstr("FAILED")));
}

TEST(VerifyCommand, FindsTheSameOnSeveralThreads) {
  const TempDirectory directory;
  const std::string model = directory.write("m.bin", write_v2(random_weights(kConfig, 7), 32));
  const ChildResult alone = run_program({"verify", model, "-t", "1"});
  const ChildResult together = run_program({"verify", model, "-t", "3"});
  expect_success(alone);
  EXPECT_EQ(alone.out, together.out);
}

}  // namespace
}  // namespace llamajit::test::inspect_verify_test
