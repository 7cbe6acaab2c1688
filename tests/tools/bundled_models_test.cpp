// The models that come with the program: where they are found, and what they say.
#include "tools/common/bundled_models.h"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "jit/base/isa.h"
#include "tests/support/program_fixture.h"
#include "tokenizer/utf8.h"

namespace llamajit::test::bundled_models_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Ne;
using ::testing::Not;
using ::testing::StartsWith;

const fs::path kModels = fs::path(LLAMAJIT_SOURCE_DIR) / "tools/story/models";
const std::string kNormal = (kModels / "story.gguf").string();
const std::string kTernary = (kModels / "story-ternary.gguf").string();
constexpr const char* kNoModel = "llamajit: no model named; using the bundled story model (";

// By name.
json listed(const ChildOptions& options = {}) {
  const ChildResult result = run_program({"models", "--json"}, options);
  expect_success(result);
  EXPECT_EQ(result.err, "");
  json models;
  for (const json& model : json::parse(result.out)) models[model["name"].get<std::string>()] = model;
  return models;
}

void copy_model(const std::string& model, const fs::path& to) {
  fs::create_directories(to.parent_path());
  fs::copy_file(model, to);
}

TEST(BundledModels, AreListed) {
  const json models = listed();
  ASSERT_TRUE(models.contains("story") && models.contains("story-ternary")) << models.dump(2);
  for (const auto& [name, path, format] :
       {std::tuple("story", kNormal, "Q8_0"), std::tuple("story-ternary", kTernary, "TQ2_0, Q8_0")}) {
    const json& model = models[name];
    EXPECT_EQ(model["path"], path);
    EXPECT_EQ(model["format"], format);
    EXPECT_EQ(model["family"], "llama");
    EXPECT_EQ(model["bytes"], fs::file_size(path));
    EXPECT_EQ(model["default"], path == kNormal);
    EXPECT_GT(model["parameters"], 2'000'000);
    EXPECT_NE(model["purpose"], "");
  }
  const ChildResult text = run_program({"models"});
  expect_success(text);
  EXPECT_THAT(text.out, AllOf(HasSubstr("story (the default)\n"), HasSubstr(kNormal), HasSubstr(kTernary)));
}

TEST(BundledModels, NamedFolderGoesFirst) {
  const TempDirectory directory;
  const std::string mine = (fs::path(directory.path()) / "story.gguf").string();
  copy_model(kTernary, mine);
  const std::string broken = directory.write("broken.gguf", "not a model");
  directory.write("story.txt", "no model either");
  ChildOptions options;
  options.environment = {{"LLAMAJIT_MODELS", directory.path()}};

  const json models = listed(options);
  EXPECT_EQ(models.size(), 3U) << models.dump(2);
  EXPECT_EQ(models["story"]["path"], mine);
  EXPECT_EQ(models["story-ternary"]["path"], kTernary);
  EXPECT_THAT(models["broken"]["refusal"].get<std::string>(), HasSubstr(broken));

  const ChildResult result = run_program({"run", "-p", "Once", "-n", "1"}, options);
  expect_success(result);
  EXPECT_THAT(result.err, HasSubstr(kNoModel + mine + ")\n"));
}

TEST(BundledModels, AFolderInTheModelsPlaceTellsOfItsFiles) {
  const TempDirectory directory;
  const std::string refusal = directory.path() + ": expected a regular file, found a directory";
  expect_error(run_program({"run", directory.path(), "-p", "a"}), 1, {refusal + "\n"});
  directory.write("b.gguf", "");
  directory.write("a.gguf", "");
  directory.write("c.txt", "");
  expect_error(run_program({"inspect", directory.path()}), 1,
               {refusal + "; name a file in it: a.gguf, b.gguf\n"});
  directory.write("c.gguf", "");
  directory.write("d.gguf", "");
  expect_error(run_program({"run", directory.path(), "-p", "a"}), 1, {"a.gguf, b.gguf, c.gguf, …\n"});
}

TEST(BundledModels, ANamedFolderThatIsMissingIsWarnedOfOnce) {
  const TempDirectory directory;
  const std::string file = directory.write("file", "no folder");
  ChildOptions options;
  for (const auto& [folder, why] : {std::pair(directory.path() + "/none", "No such file or directory"),
                                    std::pair(file, "it is no folder")}) {
    options.environment = {{"LLAMAJIT_MODELS", folder}};
    const std::string warning =
        fmt::format("llamajit: LLAMAJIT_MODELS names {}, where no models can be found: {}\n", folder, why);
    const ChildResult run = run_program({"run", "story", "-p", "Once", "-n", "1"}, options);
    expect_success(run);
    EXPECT_THAT(run.err, StartsWith(warning));
    EXPECT_THAT(run.err.substr(warning.size()), Not(HasSubstr("LLAMAJIT_MODELS")));
    const ChildResult models = run_program({"models"}, options);
    expect_success(models);
    EXPECT_EQ(models.err, warning);
    const ChildResult unknown = run_program({"run", "fable", "-p", "a"}, options);
    EXPECT_EQ(unknown.exit_code, 1);
    EXPECT_THAT(unknown.err, StartsWith(warning + "llamajit: fable: No such file"));
  }
}

TEST(BundledModels, InstalledOnesAreFoundBesideTheProgram) {
  const TempDirectory directory;
  const fs::path root = directory.path();
  fs::create_directories(root / "bin");
  const fs::path program = root / "bin/llamajit";
  fs::copy_file(LLAMAJIT_PROGRAM, program);
  copy_model(kNormal, root / "share/llamajit/models/story.gguf");
  const ChildResult result = run_child({program.string(), "run", "-p", "Once", "-n", "1"});
  expect_success(result);
  EXPECT_THAT(result.err, HasSubstr(kNoModel + (root / "share/llamajit/models/story.gguf").string() + ")\n"));
}

// A program that is copied alone, with no models anywhere, says where it looked.
TEST(BundledModels, ErrorListsTheSearchedFolders) {
  const std::vector<cli::ModelFolder> folders{{"/nowhere/one", "by name"}, {"/nowhere/two", "installed"}};
  EXPECT_TRUE(cli::find_models(folders).empty());
  try {
    cli::bundled_model(folders);
    ADD_FAILURE() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(),
                 "no model is named, and the bundled one was not found: expected story.gguf in one of "
                 "/nowhere/one (by name), /nowhere/two (installed)");
  }
}

class BundledModel : public ::testing::TestWithParam<std::string> {
 protected:
  // Greedy, in full.
  static ChildResult tell(const std::string& prompt, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"run", GetParam(), "--no-echo", "-p", prompt};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ChildResult result = run_program(std::move(arguments));
    expect_success(result);
    return result;
  }
};

TEST_P(BundledModel, TellsAStoryThatIsTheSameOnEveryTier) {
  const std::string text = tell("Once upon a time").out;
  EXPECT_THAT(text, StartsWith(","));
  EXPECT_GT(text.size(), 400U) << text;
  EXPECT_LT(text.size(), 2000U) << text;
  for (const jit::Tier tier : jit::host_tiers()) {
    const std::string begin =
        tell("Once upon a time", {"-n", "40", "--isa", std::string(to_string(tier)), "-t", "2"}).out;
    EXPECT_GT(begin.size(), 100U);
    EXPECT_THAT(text, StartsWith(begin)) << to_string(tier);
  }
}

bool is_hangul(std::string_view character) {
  return character >= "가" && character <= "힣" && character.size() == 3;
}

TEST_P(BundledModel, SpeaksKoreanWhenSpokenTo) {
  const std::string text = tell("옛날 옛적에").out;
  std::size_t hangul = 0, other = 0;
  for (std::size_t at = 0; at < text.size(); at += utf8_length(text.substr(at))) {
    const std::string character = text.substr(at, utf8_length(text.substr(at)));
    if (character.find_first_of(" .,!?\"\n") != std::string::npos) continue;
    ++(is_hangul(character) ? hangul : other);
  }
  EXPECT_GT(hangul, 100U) << text;
  EXPECT_EQ(other, 0U) << text;
}

TEST_P(BundledModel, AnswersInstructionsAndStops) {
  for (const char* said : {"Hello!", "안녕?", "Tell me a story about a rabbit.", "토끼 이야기를 들려줘."}) {
    const ChildResult result = tell(std::string("### Instruction:\n\n") + said + "\n\n### Response:\n\n");
    EXPECT_THAT(result.err, HasSubstr("stopped: end-of-sequence token")) << said;
    EXPECT_THAT(result.out, Not(HasSubstr("###"))) << said;
  }
}

// The file's own template: its prompt is that of the instructions above.
TEST_P(BundledModel, TalksByItsOwnTemplate) {
  ChildOptions options;
  options.input = "안녕?\n/stats\n";
  const ChildResult chat = run_program({"chat", GetParam(), "--temp", "0"}, options);
  expect_success(chat);
  EXPECT_THAT(chat.out, AllOf(Ne(""), Not(HasSubstr("###"))));
  const ChildResult prompt =
      run_program({"tokenize", GetParam(), "--ids", "-p", "### Instruction:\n\n안녕?\n\n### Response:\n\n"});
  const auto tokens = std::ranges::count(prompt.out, ' ') + 1;
  EXPECT_THAT(chat.err, AllOf(HasSubstr("; template " + GetParam() + ": tokenizer.chat_template"),
                              HasSubstr(fmt::format("last turn: {} tokens", tokens))));
}

// The thing, not yet the animal: docs/bundled-model.md.
TEST(BundledModels, DefaultKeepsToTheWishThatWasAskedFor) {
  const ChildResult result = run_program(
      {"run", "--no-echo", "-p",
       "### Instruction:\n\nTell me a story about a fox who wants a red kite.\n\n### Response:\n\n"});
  expect_success(result);
  EXPECT_THAT(result.out, AllOf(HasSubstr("a red kite"), HasSubstr("the kite"))) << result.out;
}

TEST_P(BundledModel, IsVerified) {
  const std::string best(to_string(jit::host_tiers().back()));
  expect_success(run_program({"verify", GetParam(), "--isa", best}));
}

INSTANTIATE_TEST_SUITE_P(All, BundledModel, ::testing::Values(kNormal, kTernary),
                         [](const auto& test) { return test.param == kNormal ? "Normal" : "Ternary"; });

}  // namespace
}  // namespace llamajit::test::bundled_models_test
