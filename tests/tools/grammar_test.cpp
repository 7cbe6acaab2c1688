// llamajit run --grammar and --json-schema, on the bundled model.
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/runtime/grammar/schemas.h"
#include "tests/support/program_fixture.h"
#include "tests/support/sanitized.h"

namespace llamajit::test::grammar_test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const std::string kStory =
    (std::filesystem::path(LLAMAJIT_SOURCE_DIR) / "tools/story/models/story.gguf").string();

class GrammarOptions : public ::testing::Test {
 protected:
  ChildResult run(std::vector<std::string> options) const {
    options.insert(options.begin(), {"run", kStory, "-p", "Once upon a time", "--no-echo"});
    return run_program(std::move(options));
  }

  TempDirectory directory_;
};

TEST_F(GrammarOptions, TextsAreTheGrammars) {
  const std::string grammar = directory_.write(
      "g.gbnf", "root ::= \", the \" animal (\" and the \" animal)* \".\"\nanimal ::= \"cat\" | \"dog\"\n");
  for (const std::string temperature : {"0", "1", "3"}) {
    const ChildResult result = run({"--grammar", grammar, "--temp", temperature, "--seed", "1"});
    expect_success(result);
    EXPECT_THAT(result.out, MatchesRegex(", the (cat|dog)( and the (cat|dog))*\\."));
    EXPECT_THAT(result.err, HasSubstr("stopped: end of the grammar"));
  }
  const ChildResult alias = run({"--grammar-file", grammar, "-q"});
  expect_success(alias);
  EXPECT_THAT(alias.out, MatchesRegex(", the (cat|dog)( and the (cat|dog))*\\."));
}

TEST_F(GrammarOptions, ATextMayEndWhereTheGrammarMay) {
  const std::string grammar = directory_.write("g.gbnf", "root ::= [^Q]*");
  const ChildResult held = run({"--grammar", grammar, "-n", "40", "-q"});
  const ChildResult free = run({"-n", "40", "-q"});
  expect_success(held);
  EXPECT_EQ(held.out, free.out) << "what the model says has no Q anyway";
  const ChildResult nothing = run({"--grammar", directory_.write("n.gbnf", "root ::= \"\""), "-q"});
  expect_success(nothing);
  EXPECT_EQ(nothing.out, "");
}

TEST_F(GrammarOptions, TextsAreValidJsonOrCutShort) {
  int complete = 0, number = 0, runs = 0;
  for (const std::string_view schema : kSchemas) {
    const std::string file = directory_.write(fmt::format("{}.json", number++), schema);
    if (kSanitized && number % 3 != 1) continue;
    for (const std::string temperature : {"0", "1"}) {
      const ChildResult result =
          run({"--json-schema", file, "--temp", temperature, "--seed", fmt::to_string(number), "-n", "200"});
      expect_success(result);
      ++runs;
      if (result.err.find("stopped: token limit") != std::string::npos) continue;
      ++complete;
      EXPECT_THAT(result.err,
                  AnyOf(HasSubstr("stopped: end of the grammar"), HasSubstr("-of-sequence token")));
      EXPECT_TRUE(nlohmann::json::accept(result.out)) << schema << ": " << result.out;
    }
  }
  EXPECT_GT(complete, runs / 4);
}

TEST_F(GrammarOptions, ErrorsNameTheFileAndThePlace) {
  const std::string grammar = directory_.write("g.gbnf", "root ::= \"a\n");
  expect_error(run({"--grammar", grammar}), 1, {grammar + ": line 1, column 10: expected the literal's end"});
  const std::string schema = directory_.write("s.json", R"({"type":"number","not":{"const":3}})");
  expect_error(run({"--json-schema", schema}), 1, {schema + ": /not: expected a keyword that is honoured"});
  expect_error(run({"--json-schema", "/none.json"}), 1, {"/none.json"});
  expect_error(run({"--json-schema", schema, "--grammar", grammar}), 2, {"--json-schema", "--grammar"});
  expect_error(run({"-i", "--grammar", grammar}), 2, {"--grammar", "--interactive"});
  expect_error(run({"-j", "{}"}), 2, {"-j", "--json-schema FILE"});
  expect_error(run_program({"chat", kStory, "--grammar", grammar}), 2, {"--grammar", "llamajit run"});
}

}  // namespace
}  // namespace llamajit::test::grammar_test
