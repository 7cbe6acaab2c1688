// llamajit bench: what its JSON promises, and its table.
#include <nlohmann/json.hpp>

#include "jit/base/isa.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test {
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
  EXPECT_EQ(found["isa"], to_string(jit::host_tiers().back()));
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

TEST_F(BenchCommand, SaysWhatDoesNotFit) {
  expect_error(bench({"-p", "41", "-t", "1"}), 1, {"pp41: expected at most 40 positions", "found 41"});
  expect_error(bench({"-p", "4", "-n", "4", "-d", "2147483647", "-t", "1"}), 1, {"found 2147483651"});
  expect_error(run_program({"bench", directory_.path() + "/none.bin"}), 1, {"none.bin"});
}

}  // namespace
}  // namespace llamajit::test
