// Tiny models of many families beside what other programs and plain numpy make of them: the texts, and the
// logits behind the prompt. Data under test_data("families"): a writer of the models, and a case for each.
#include <algorithm>
#include <array>
#include <bit>
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

#include "runtime/convert/quantization.h"
#include "runtime/files/model_reader.h"
#include "runtime/forward/engine.h"
#include "runtime/measure/perplexity.h"
#include "tests/support/sanitized.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_data.h"
#include "tests/support/toy_model.h"

namespace llamajit::cases_test {
namespace {

// As Debian installs it, with numpy.
constexpr const char* kPython = "/usr/bin/python3";

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

// The logits of each token of the case's prompt and text.
std::vector<std::vector<float>> predictions(const ModelFile& file, const std::vector<TokenId>& tokens) {
  Engine engine(file, {{jit::host_tiers().back()}, 2, 0, {}});
  std::vector<std::vector<float>> all;
  engine.feed_each(tokens, 0, 0, [&](std::size_t, std::span<const float> logits) {
    all.emplace_back(logits.begin(), logits.end());
  });
  return all;
}

// The same model with its weights as they are, each as a float.
ModelFile in_floats(ModelFile file) {
  for (const Tensor* const found : file.tensors()) {
    Tensor& tensor = *const_cast<Tensor*>(found);
    if (!has_codes(tensor.format)) continue;
    const jit::SourceMatrix from = source(tensor);
    std::vector<std::byte>& bytes = file.rearranged.emplace_back();
    for (std::int64_t row = 0; row < from.rows; ++row) {
      for (std::int64_t col = 0; col < from.cols; ++col) {
        const auto value = std::bit_cast<std::array<std::byte, sizeof(float)>>(source_value(from, row, col));
        bytes.insert(bytes.end(), value.begin(), value.end());
      }
    }
    tensor.format = {jit::FormatKind::f32, 0};
    tensor.data = bytes;
    tensor.scales = {};
  }
  if (file.config.shared_classifier) file.classifier = file.embedding;
  return file;
}

// Products with coded weights round their inputs to eight bits, which is all that tells them from products with
// the same weights as floats. Random models make more of that than trained ones do: of all cases, logarithms of
// perplexities differed by 0.16 at the most (gemma4-moe), predictions by 0.25 nats (mixtral).
TEST_P(FamilyCases, PredictWhatTheirQuantisedWeightsDo) {
  const std::string case_path = test::test_data(fmt::format("families/cases/{}.json", GetParam()));
  LLAMAJIT_REQUIRE_FILE(case_path);
  const Case c = read_case(case_path);
  if (c.name.ends_with("-mxfp4")) GTEST_SKIP() << "its weights are quantised already";
  const test::TempDirectory folder;
  std::vector<TokenId> tokens = c.prompt;
  tokens.insert(tokens.end(), c.ids.begin(), c.ids.end());
  written(folder, c.name, c.seed);
  const std::string original = fmt::format("{}/{}.gguf", folder.path(), c.name);
  for (const std::string_view type : {"Q8_0", "Q4_K_M"}) {
    if (test::kSanitized && type == "Q8_0") continue;  // slow there, and the mix has Q8_0 among its formats
    const std::string path = fmt::format("{}/{}.gguf", folder.path(), type);
    QuantizationChoices choices;
    choices.type = find_quantization_type(type);
    quantize_model(open_conversion_source(original, std::nullopt), path, choices, 2, {});
    const auto expected = predictions(in_floats(read_model(path)), tokens);
    const auto logits = predictions(read_model(path), tokens);
    Mean change, divergences;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      change.add(log_probability(expected[i], tokens[i + 1]) - log_probability(logits[i], tokens[i + 1]));
      divergences.add(divergence(expected[i], logits[i]));
    }
    EXPECT_LT(std::abs(change.value()), 0.2) << type;
    EXPECT_LT(divergences.value(), 0.3) << type;
    EXPECT_GT(divergences.value(), 0) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyCases, ::testing::ValuesIn(case_names()), [](const auto& which) {
  std::string name = which.param;
  for (char& ch : name) ch = ch == '-' ? '_' : ch;
  return name;
});

}  // namespace
}  // namespace llamajit::cases_test
