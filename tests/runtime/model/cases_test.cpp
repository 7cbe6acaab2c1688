// Tiny models of many families beside what other programs and plain numpy make of them: the texts, and the
// logits behind the prompt. Data under test_data("families"): a writer of the models, and a case for each.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "tests/support/sanitized.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_data.h"
#include "tests/support/toy_model.h"

namespace llamajit {
namespace {

// As Debian installs it, with numpy.
constexpr const char* kPython = "/usr/bin/python3";

// Cases of families that the table does not have.
constexpr std::string_view kNotYet[] = {"deepseek2-lite"};

struct Case {
  std::string name;
  int seed;
  std::vector<TokenId> prompt, ids;
  std::vector<std::pair<TokenId, double>> logits;  // the largest behind the prompt
};

Case read_case(const std::string& path) {
  std::ifstream file(path);
  const nlohmann::json json = nlohmann::json::parse(file);
  Case c{json.at("name"), json.at("seed"), json.at("prompt_ids"), json.at("ids"), {}};
  std::istringstream logits(json.at("logits_f64").get<std::string>());
  for (std::string logit; logits >> logit;) {
    const std::size_t colon = logit.find(':');
    c.logits.emplace_back(std::stoi(logit.substr(0, colon)), std::stod(logit.substr(colon + 1)));
  }
  return c;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(test::test_data("families/cases"), none)) {
    names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names.empty() ? std::vector<std::string>{"absent"} : names;  // a test that says so
}

// Greedily, behind the prompt. With one_by_one, the prompt is fed token by token.
struct Text {
  std::vector<float> logits;  // behind the prompt
  std::vector<TokenId> ids;
  bool operator==(const Text&) const = default;
};
Text run(const ModelFile& file, const Case& c, jit::Tier tier, int threads, bool one_by_one) {
  Engine engine(file, {{tier}, threads, 0, {jit::ElementType::f32}});
  auto pos = static_cast<int>(c.prompt.size());
  for (int i = 0; one_by_one && i < pos; ++i) {
    engine.feed(c.prompt[static_cast<std::size_t>(i)], i, i + 1 == pos);
  }
  if (!one_by_one) engine.feed_all(c.prompt, 0);
  Text result{{engine.logits().begin(), engine.logits().end()}, {}};
  while (result.ids.size() < c.ids.size()) {
    result.ids.push_back(engine.argmax());
    engine.feed(result.ids.back(), pos++, true);
  }
  return result;
}

ModelFile written(const test::TempDirectory& folder, const std::string& name, int seed) {
  const std::string path = fmt::format("{}/{}.gguf", folder.path(), name);
  const test::ChildResult writer = test::run_child(
      {kPython, test::test_data("families/families.py"), name, path, "--seed", fmt::to_string(seed)});
  EXPECT_EQ(writer.exit_code, 0) << writer.err << "python3-numpy is one of tools/packages.txt";
  return read_model(path);
}

class FamilyCases : public ::testing::TestWithParam<std::string> {};

TEST_P(FamilyCases, SayWhatOthersSay) {
  const std::string case_path = test::test_data(fmt::format("families/cases/{}.json", GetParam()));
  LLAMAJIT_REQUIRE_FILE(case_path);
  if (std::ranges::count(kNotYet, GetParam()) > 0) GTEST_SKIP() << "compressed attention is not there yet";
  const Case c = read_case(case_path);
  const test::TempDirectory folder;
  const ModelFile file = written(folder, c.name, c.seed);
  const Text alone = run(file, c, jit::host_tiers().back(), 1, true);
  EXPECT_EQ(alone.ids, c.ids);
  // Products with coded weights round activations: the logits are those of the same weights in F32.
  const bool coded = c.name.ends_with("-mxfp4");
  const Text exact =
      coded ? run(written(folder, c.name + "-as-f32", c.seed), c, jit::host_tiers().back(), 1, true) : alone;
  EXPECT_EQ(exact.ids, c.ids);
  for (const auto& [id, logit] : c.logits) {
    EXPECT_NEAR(exact.logits[static_cast<std::size_t>(id)], logit, 1e-3) << "token " << id;
  }
  EXPECT_EQ(run(file, c, jit::host_tiers().back(), 2, false), alone) << "as a prompt, two threads";
  for (const jit::Tier tier : jit::host_tiers()) {
    if (test::kSanitized && tier != jit::host_tiers().back()) continue;
    EXPECT_EQ(run(file, c, tier, 1, false), alone) << to_string(tier);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyCases, ::testing::ValuesIn(case_names()), [](const auto& which) {
  std::string name = which.param;
  for (char& ch : name) ch = ch == '-' ? '_' : ch;
  return name;
});

}  // namespace
}  // namespace llamajit
