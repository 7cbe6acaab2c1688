// --tune: what it remembers, where, and what it makes of a damaged memory.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "jit/base/isa.h"
#include "jit/code/isa_choice.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::tune_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Tune : public AlphabetTest {
 protected:
  Tune() {
    if (!jit::Isa{jit::host_tiers().back()}.wide()) skip_ = true;
  }
  void SetUp() override {
    if (skip_) GTEST_SKIP() << "this CPU's tiers have one variant of each kernel";
  }
  ChildResult run_with(std::vector<std::pair<std::string, std::string>> environment, bool tune) const {
    ChildOptions options;
    options.environment = std::move(environment);
    std::vector<std::string> arguments{"-p", "a", "-n", "5", "--temp", "0", "-t", "1"};
    if (tune) arguments.emplace_back("--tune");
    const ChildResult result = run(arguments, options);
    expect_success(result);
    EXPECT_EQ(result.out, "abcdef");
    return result;
  }
  std::string cache() const { return directory_.path() + "/cache"; }
  std::string file() const { return cache() + "/llamajit/tuning.json"; }
  ChildResult run_in_cache(bool tune) const { return run_with({{"XDG_CACHE_HOME", cache()}}, tune); }
  static std::string content(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  void damage(const std::string& text) const {
    std::filesystem::create_directories(cache() + "/llamajit");
    std::ofstream(file()) << text;
  }

 private:
  bool skip_ = false;
};

TEST_F(Tune, RemembersAndDoesNotMeasureAgain) {
  EXPECT_THAT(run_in_cache(true).err, HasSubstr("tuned: matvec_"));
  const auto json = nlohmann::json::parse(content(file()));
  ASSERT_EQ(json.size(), 1U);
  ASSERT_TRUE(json.contains(jit::cpu_name()));
  ASSERT_EQ(json[jit::cpu_name()].size(), 1U);
  EXPECT_TRUE(json[jit::cpu_name()].contains(
      fmt::format("{}, 1 threads", to_string(jit::choose_isa(std::nullopt).isa.tier))));
  const std::string first = content(file());
  EXPECT_THAT(run_in_cache(true).err, Not(HasSubstr("tuned:")));
  EXPECT_EQ(content(file()), first);
}

TEST_F(Tune, WithoutTheFlagNothingIsMeasuredOrWritten) {
  EXPECT_THAT(run_in_cache(false).err, Not(HasSubstr("tuned:")));
  EXPECT_FALSE(std::filesystem::exists(cache()));
}

TEST_F(Tune, FallsBackToHomeAndIgnoresARelativeFolder) {
  run_with({{"XDG_CACHE_HOME", "relative"}, {"HOME", directory_.path()}}, true);
  EXPECT_TRUE(std::filesystem::exists(directory_.path() + "/.cache/llamajit/tuning.json"));
  EXPECT_FALSE(std::filesystem::exists("relative"));
}

TEST_F(Tune, KeepsWhatOthersHaveMeasured) {
  damage(R"({"another CPU": {"avx2, 3 threads": {"matvec_x": 4}}})");
  run_in_cache(true);
  const auto json = nlohmann::json::parse(content(file()));
  EXPECT_EQ(json.size(), 2U);
  EXPECT_EQ(json["another CPU"]["avx2, 3 threads"]["matvec_x"], 4);
}

TEST_F(Tune, ADamagedFileCostsAWarning) {
  for (const char* text :
       {"", "{", "[]", "17", R"({"a": 1})", R"({"a": {"b": 2}})", R"({"a": {"b": {"c": 3}}})",
        R"({"a": {"b": {"c": "2"}}})", R"({"a": {"b": {"c": 1e99}}})"}) {
    SCOPED_TRACE(text);
    damage(text);
    const ChildResult result = run_in_cache(false);
    EXPECT_THAT(result.err, HasSubstr(file()));
    EXPECT_THAT(result.err, HasSubstr("nothing is taken from it"));
    run_in_cache(true);
    EXPECT_THAT(run_in_cache(false).err, Not(HasSubstr("nothing is taken from it"))) << "begun anew";
  }
}

TEST_F(Tune, WhatCanNotBeKeptIsUsedAllTheSame) {
  std::ofstream(cache()) << "a file where a folder is needed";
  const ChildResult result = run_in_cache(true);
  EXPECT_THAT(result.err, HasSubstr("tuned: matvec_"));
  EXPECT_THAT(result.err,
              HasSubstr("--tune: what was measured is not kept: " + cache() + "/llamajit: Not a directory"));
  EXPECT_THAT(run_with({{"XDG_CACHE_HOME", ""}, {"HOME", ""}}, true).err,
              HasSubstr("neither XDG_CACHE_HOME nor HOME names a folder for it"));
}

}  // namespace
}  // namespace llamajit::test::tune_test
