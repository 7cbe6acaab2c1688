// llamajit kernels.
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "jit/base/isa.h"
#include "tests/support/find_program.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::kernels_test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

const Config kConfig = toy_config(64, 96, 2, 8, 4, 33, 40, false);

class KernelsCommand : public ::testing::Test {
 protected:
  ChildResult kernels(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"kernels", model_});
    return run_program(std::move(arguments));
  }
  nlohmann::json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const ChildResult result = kernels(std::move(arguments));
    expect_success(result);
    return nlohmann::json::parse(result.out);
  }

  TempDirectory directory_;
  std::string model_ = directory_.write("m.bin", write_v2(random_weights(kConfig, 7), 32));
};

TEST_F(KernelsCommand, TellsWhatEachIsAndTakes) {
  const ChildResult result = kernels({});
  expect_success(result);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, AllOf(HasSubstr("kernel "), HasSubstr(" share of its time\n"),
                                ContainsRegex("\nmatvec_int8_32_96x64_swiglu +\\(96, 64\\) +[0-9]+ "),
                                ContainsRegex("\nattention_[^\n]+ [0-9]+\\.[0-9]%"),
                                ContainsRegex("measured on one thread: a token at position 39 takes "
                                              "[0-9.]+ us, a prompt of 40 tokens [0-9.]+ us\n")));
}

TEST_F(KernelsCommand, SharesAddUpAndCallsAreThePlans) {
  const nlohmann::json report = json({});
  EXPECT_TRUE(report["measured"]);
  std::map<std::string, nlohmann::json> kernels_by_name;
  double token = 0, prompt = 0, seconds = 0;
  for (const auto& kernel : report["kernels"]) {
    kernels_by_name[kernel["name"]] = kernel;
    if (!kernel["token"].is_null()) {
      token += kernel["token"]["share"].get<double>();
      seconds += kernel["token"]["seconds"].get<double>();
    }
    if (!kernel["prompt"].is_null()) prompt += kernel["prompt"]["share"].get<double>();
  }
  EXPECT_EQ(kernels_by_name["rope_8"]["token"]["calls"], 2 * 2);  // q and k, in two layers
  EXPECT_EQ(kernels_by_name["rmsnorm_64"]["token"]["calls"], 2 * 2 + 1);
  const nlohmann::json& gate_up = kernels_by_name["matvec_int8_32_96x64_swiglu"]["token"];
  EXPECT_EQ(gate_up["operations"], 2 * 2 * 2 * 96 * 64);
  // Codes and scales of two matrices, the input and the output; all of it in two layers.
  EXPECT_EQ(gate_up["bytes"], 2 * (2 * 96 * (64 + 2 * 4) + 64 + 2 * 8 + 96 * 4));
  EXPECT_TRUE(kernels_by_name["matmul_int8_32_96x64_swiglu"]["token"].is_null());
  EXPECT_FALSE(kernels_by_name["matmul_int8_32_96x64_swiglu"]["prompt"].is_null());
  EXPECT_TRUE(kernels_by_name["softmax_33"]["prompt"].is_null());
  EXPECT_NEAR(token, 1, 1e-6);
  EXPECT_NEAR(prompt, 1, 1e-6);
  EXPECT_NEAR(seconds, report["token"]["seconds"], 1e-9);
}

TEST_F(KernelsCommand, OnlyThoseThatMatch) {
  const nlohmann::json report = json({"--only", "matvec*_add"});
  ASSERT_FALSE(report["kernels"].empty());
  for (const auto& kernel : report["kernels"]) {
    EXPECT_THAT(kernel["name"], AllOf(::testing::StartsWith("matvec"), ::testing::EndsWith("_add")));
  }
  expect_error(kernels({"--only", "nothing*"}), 1, {"--only", "nothing*"});
}

// Also those that this CPU lacks: code is generated, but not run.
TEST_F(KernelsCommand, DumpsEveryTier) {
  for (const jit::Tier tier : jit::kAllTiers) {
    if (tier == jit::Tier::scalar) continue;
    const std::string out = directory_.path() + "/" + std::string(to_string(tier));
    const ChildResult result = kernels({"--isa", std::string(to_string(tier)), "--out", out});
    expect_success(result);
    EXPECT_EQ(result.out, "");
    std::ifstream file(out + "/manifest.json");
    const auto manifest = nlohmann::json::parse(file);
    EXPECT_EQ(manifest["isa"], to_string(tier));
    EXPECT_FALSE(manifest["kernels"].empty());
    for (const auto& kernel : manifest["kernels"]) {
      const std::string path = out + "/" + kernel["name"].get<std::string>();
      EXPECT_EQ(fs::file_size(path + ".bin"), kernel["size"]);
      EXPECT_GT(fs::file_size(path + ".s"), 0U);
    }
    EXPECT_TRUE(fs::exists(out + "/kernels.o"));
  }
}

TEST_F(KernelsCommand, TheTableOfEveryTier) {
  for (const jit::Tier tier : jit::kAllTiers) {
    const nlohmann::json report = json({"--isa", std::string(to_string(tier))});
    EXPECT_EQ(report["isa"], to_string(tier));
    for (const auto& kernel : report["kernels"]) {
      EXPECT_EQ(kernel["instructions"].get<int>() > 0, tier != jit::Tier::scalar);
    }
  }
}

TEST_F(KernelsCommand, SaysWhatIsWrong) {
  expect_error(kernels({"--isa", "sse9"}), 2, {"--isa", "avx512vnni", "sse9"});
  expect_error(kernels({"--isa", "scalar", "--out", directory_.path() + "/scalar"}), 1,
               {"--out", "scalar tier"});
  expect_error(kernels({"--out", directory_.path()}), 1, {directory_.path(), "empty folder"});
}

}  // namespace
}  // namespace llamajit::test::kernels_test
