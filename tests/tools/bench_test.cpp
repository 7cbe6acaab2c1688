// llamajit bench: what its JSON promises, and its table.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "jit/base/isa.h"
#include "jit/code/isa_choice.h"
#include "jit/formats/packing.h"
#include "tests/support/program_fixture.h"
#include "tests/support/sanitized.h"

namespace llamajit::test::bench_test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class BenchCommand : public ::testing::Test {
 protected:
  BenchCommand()
      : model_(directory_.write(
            "model.bin", write_v2(random_weights(toy_config(64, 96, 2, 8, 4, 33, 40, false), 7), 32))) {}

  ChildResult bench(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"bench", model_});
    return run_program(std::move(arguments));
  }
  // The JSON of a run that must succeed.
  json report(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    const ChildResult result = bench(std::move(arguments));
    expect_success(result);
    EXPECT_EQ(result.err, "");
    return json::parse(result.out, nullptr, false);
  }

  TempDirectory directory_;
  std::string model_;
};

TEST_F(BenchCommand, JsonHasAllFields) {
  // One run: the share, a mean over runs, is then exactly what the other figures say.
  const json found = report({"-p", "9", "-n", "5", "-d", "3", "-t", "1,2", "-r", "1"});
  ASSERT_TRUE(found.is_object());
  EXPECT_EQ(found["model"], model_);
  EXPECT_EQ(found["isa"], to_string(jit::choose_isa(std::nullopt).isa.tier));
  EXPECT_NE(found["isa_why"].get<std::string>().find("of this CPU"), std::string::npos);
  EXPECT_EQ(found["threads"], json({1, 2}));
  for (const char* field : {"load_ms", "pack_ms", "emit_ms"}) {
    ASSERT_TRUE(found[field].is_number()) << field;
    EXPECT_GT(found[field], 0) << field;
  }
  EXPECT_LT(found["pack_ms"], found["load_ms"]);
  EXPECT_LT(found["emit_ms"], found["load_ms"]);
  for (const char* field : {"kernels", "code_bytes", "peak_rss_bytes"}) {
    ASSERT_TRUE(found[field].is_number_unsigned()) << field;
    EXPECT_GT(found[field], 0) << field;
  }

  ASSERT_TRUE(found["tests"].is_array());
  std::vector<std::pair<std::string, int>> names;
  for (const json& test : found["tests"]) {
    names.emplace_back(test["name"], test["threads"]);
    SCOPED_TRACE(test.dump());
    for (const char* field : {"tokens_per_second", "bytes_per_token", "gb_per_second", "gop_per_second",
                              "limit", "limit_share"}) {
      ASSERT_TRUE(test[field].is_number()) << field;
      EXPECT_GT(test[field], 0) << field;
    }
    ASSERT_TRUE(test["stddev"].is_number());
    EXPECT_GE(test["stddev"], 0);
    const bool decode = test["name"].get<std::string>().starts_with("tg");
    EXPECT_EQ(test["limit_unit"], decode ? "GB/s" : "GOP/s");
    const double reached = test[decode ? "gb_per_second" : "gop_per_second"];
    const double limit = test["limit"];
    EXPECT_NEAR(test["limit_share"].get<double>(), reached / limit, 1e-9);
    EXPECT_NEAR(test["gb_per_second"].get<double>() * 1e9,
                test["bytes_per_token"].get<double>() * test["tokens_per_second"].get<double>(), 1.0);
  }
  EXPECT_THAT(names, ::testing::ElementsAre(std::pair("pp9@d3", 1), std::pair("tg5@d3", 1),
                                            std::pair("pp9@d3", 2), std::pair("tg5@d3", 2)));
}

// The file's pages are let go while they are packed.
TEST_F(BenchCommand, AFileAndItsPackedCopyAreNotInMemoryBoth) {
  if (kSanitized) GTEST_SKIP() << "sanitizers take memory of their own";
  const CheckpointWeights weights = random_weights(toy_config(512, 96, 1, 8, 4, 32000, 40, false), 7);
  const std::string model = directory_.write("large.bin", write_v1(weights));
  const double bytes = static_cast<double>(std::filesystem::file_size(model));
  ASSERT_GT(bytes, 128e6);
  const ChildResult result =
      run_program({"bench", model, "-p", "0", "-n", "1", "-t", "2", "-r", "1", "--json"});
  expect_success(result);
  const json found = json::parse(result.out, nullptr, false);
  EXPECT_LT(found["peak_rss_bytes"].get<double>(), 1.5 * bytes);
}

TEST_F(BenchCommand, ZeroLeavesATestOut) {
  const json decode = report({"-p", "0", "-n", "5", "-t", "1", "-r", "1"});
  ASSERT_EQ(decode["tests"].size(), 1U);
  EXPECT_EQ(decode["tests"][0]["name"], "tg5");
  EXPECT_EQ(decode["tests"][0]["stddev"], 0);
  const json prefill = report({"-p", "5", "-n", "0", "-t", "1", "-r", "1"});
  ASSERT_EQ(prefill["tests"].size(), 1U);
  EXPECT_EQ(prefill["tests"][0]["name"], "pp5");
}

TEST_F(BenchCommand, EveryTierCanBeAskedFor) {
  for (const jit::Tier tier : jit::host_tiers()) {
    const json found =
        report({"-p", "4", "-n", "4", "-t", "1", "-r", "1", "--isa", std::string(to_string(tier))});
    EXPECT_EQ(found["isa"], to_string(tier));
    // Scalar code has nothing to be held against.
    for (const json& test : found["tests"]) EXPECT_EQ(test["limit"] == 0.0, tier == jit::Tier::scalar);
  }
}

TEST_F(BenchCommand, TheTableHasALineForEachTest) {
  const ChildResult result = bench({"-p", "4", "-n", "6", "-t", "1", "-r", "1"});
  expect_success(result);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 4) << result.out;
  for (const char* part : {"tok/s", "\npp4 ", "\ntg6 ", "GB/s", "GOP/s", "%\n"})
    EXPECT_THAT(result.out, HasSubstr(part));
}

// A kernel alone needs no model.
json kernel_report(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"bench", "--json", "--weights-mib", "1", "-r", "1", "--kernel"});
  const ChildResult result = run_program(std::move(arguments));
  expect_success(result);
  EXPECT_EQ(result.err, "");
  return json::parse(result.out, nullptr, false);
}

TEST(BenchKernel, JsonHasAllFieldsOfEachKernel) {
  const json found = kernel_report({"Q4_K:48x512:3", "-t", "1,2"});
  ASSERT_TRUE(found.is_object());
  EXPECT_EQ(found["kernel"], "Q4_K:48x512:3");
  EXPECT_EQ(found["isa"], to_string(jit::choose_isa(std::nullopt).isa.tier));
  ASSERT_TRUE(found["tests"].is_array());
  std::vector<std::pair<std::string, int>> names;
  for (const json& test : found["tests"]) {
    SCOPED_TRACE(test.dump());
    names.emplace_back(test["name"], test["threads"]);
    for (const char* field :
         {"us_per_call", "gb_per_second", "read_limit", "gop_per_second", "multiply_limit"}) {
      ASSERT_TRUE(test[field].is_number()) << field;
      EXPECT_GT(test[field], 0) << field;
    }
    // As many matrices as are more than a MiB.
    EXPECT_EQ(test["matrix_bytes"], jit::packed_bytes({jit::FormatKind::q4_k, 256}, 48, 512));
    EXPECT_GT(test["matrices"].get<int>() * test["matrix_bytes"].get<int>(), 1 << 20);
    EXPECT_LE((test["matrices"].get<int>() - 1) * test["matrix_bytes"].get<int>(), 1 << 20);
    EXPECT_NEAR(test["gop_per_second"].get<double>() * test["us_per_call"].get<double>() * 1e3,
                2.0 * 48 * 512 * 3, 1);
    EXPECT_NEAR(test["read_share"].get<double>(),
                test["gb_per_second"].get<double>() / test["read_limit"].get<double>(), 1e-9);
    EXPECT_NEAR(test["multiply_share"].get<double>(),
                test["gop_per_second"].get<double>() / test["multiply_limit"].get<double>(), 1e-9);
  }
  EXPECT_THAT(names, ::testing::ElementsAre(
                         std::pair("matvec_q4_k_48x512_3tokens", 1), std::pair("matmul_q4_k_48x512", 1),
                         std::pair("matvec_q4_k_48x512_3tokens", 2), std::pair("matmul_q4_k_48x512", 2)));
}

TEST(BenchKernel, EveryFormatAndTierCanBeAskedFor) {
  for (const jit::Format format : jit::ggml_formats()) {
    const json found = kernel_report({std::string(ggml_name(format.kind)) + ":33x512:2", "-t", "1"});
    EXPECT_EQ(found["tests"].size(), 2U) << ggml_name(format.kind);
  }
  for (const jit::Tier tier : jit::host_tiers()) {
    const json found = kernel_report({"Q4_0:33x64:2", "-t", "1", "--isa", std::string(to_string(tier))});
    EXPECT_EQ(found["isa"], to_string(tier));
    for (const json& test : found["tests"]) {
      EXPECT_EQ(test["read_limit"] == 0.0, tier == jit::Tier::scalar);
      EXPECT_EQ(test["read_share"] == 0.0, tier == jit::Tier::scalar);
    }
  }
}

TEST(BenchKernel, OneTokenHasMatvecAloneAndManyHaveMatmulAlone) {
  const json one = kernel_report({"Q8_0:16x32", "-t", "1"});
  ASSERT_EQ(one["tests"].size(), 1U);
  EXPECT_EQ(one["tests"][0]["name"], "matvec_q8_0_16x32");
  const json many = kernel_report({"BF16:16x32:17", "-t", "1"});
  ASSERT_EQ(many["tests"].size(), 1U);
  EXPECT_EQ(many["tests"][0]["name"], "matmul_bf16_pairs_16x32");
}

TEST(BenchKernel, TheTableHasALineForEachKernel) {
  const ChildResult result =
      run_program({"bench", "--kernel", "Q4_0:16x32:2", "--weights-mib", "1", "-t", "1", "-r", "1"});
  expect_success(result);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 4) << result.out;
  for (const char* part : {"us a call", "\nmatvec_q4_0_16x32_2tokens ", "\nmatmul_q4_0_16x32 ", "%\n"})
    EXPECT_THAT(result.out, HasSubstr(part));
}

TEST(BenchKernel, SaysWhatItExpected) {
  const auto bench = [](const char* kernel) { return run_program({"bench", "--kernel", kernel}); };
  expect_error(bench("Q9:16x32"), 1, {"Q9:16x32: expected a format, found Q9"});
  expect_error(bench("Q4_K:16x300"), 1, {"columns in groups of 256, found 300"});
  for (const char* wrong : {"Q4_0", "Q4_0:16", "Q4_0:0x32", "Q4_0:16x-32", "Q4_0:16x32:0", "Q4_0:16x32:2:2",
                            "Q4_0:16x32x2", "Q4_0:16x99999999999"}) {
    expect_error(bench(wrong), 1, {wrong, "expected FORMAT:ROWSxCOLS"});
  }
}

TEST_F(BenchCommand, SaysWhatDoesNotFit) {
  expect_error(bench({"-p", "41", "-t", "1"}), 1, {"pp41: expected at most 40 positions", "found 41"});
  expect_error(bench({"-p", "4", "-n", "4", "-d", "2147483647", "-t", "1"}), 1, {"found 2147483651"});
  expect_error(run_program({"bench", directory_.path() + "/none.bin"}), 1, {"none.bin"});
}

}  // namespace
}  // namespace llamajit::test::bench_test
