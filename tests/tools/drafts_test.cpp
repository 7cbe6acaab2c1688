// Drafts from the command line: the text is that without them.
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/foreseeing_model.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::drafts_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DraftsTool : public AlphabetTest {
 protected:
  std::string ngrams_of(const std::string& text) const {
    const std::string file = directory_.path() + "/text.ngrams";
    const ChildResult written = run_program({"ngrams", directory_.write("text.txt", text), file});
    expect_success(written);
    EXPECT_THAT(written.out, AllOf(HasSubstr(file), HasSubstr(" tokens of "), HasSubstr(" bytes\n")));
    return file;
  }
};

std::vector<std::string> story(std::vector<std::string> options) {
  const std::vector<std::string> fixed = {"run",    "story", "-p", "Once upon a time",
                                          "--seed", "5",     "-n", "60"};
  options.insert(options.begin(), fixed.begin(), fixed.end());
  return options;
}

TEST_F(DraftsTool, TheTextIsTheSameWithAnyOfThem) {
  const std::string ngrams =
      ngrams_of("Once upon a time, there was a little puppy. Once upon a time there was a bear.");
  for (const std::string temperature : {"0", "0.9"}) {
    const ChildResult expected = run_program(story({"--temp", temperature}));
    expect_success(expected);
    for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
             {"--lookup"},
             {"--lookup", "--draft", "9"},
             {"--draft", "auto"},
             {"--ngrams", ngrams, "--draft", "3"},
             {"--model-draft", "story-ternary", "--draft", "4"},
             {"-md", "story-ternary", "-td", "1", "--lookup", "--draft-max", "15"}}) {
      std::vector<std::string> all = story({"--temp", temperature});
      all.insert(all.end(), options.begin(), options.end());
      const ChildResult result = run_program(all);
      expect_success(result);
      EXPECT_EQ(result.out, expected.out) << options.front();
      EXPECT_THAT(result.err, AllOf(HasSubstr("drafts: "), HasSubstr(" tokens a step"))) << options.front();
    }
    std::vector<std::string> off = story({"--temp", temperature, "-md", "story-ternary", "--draft", "off"});
    EXPECT_EQ(run_program(off).err.find("drafts: "), std::string::npos);
  }
}

TEST_F(DraftsTool, ARightGuesserTakesFewSteps) {
  const ChildResult result = run_program(story({"-md", "story", "--draft", "5", "--temp", "0.7"}));
  expect_success(result);
  EXPECT_THAT(result.err, HasSubstr("(100%)"));
}

TEST_F(DraftsTool, AChatHasTheSameReplies) {
  const std::vector<std::string> chat = {
      "chat", "story", "--temp", "0.7", "--seed", "3", "--single-turn", "-p", "Tell me a story about a fox."};
  std::vector<std::string> drafted = chat;
  drafted.insert(drafted.end(), {"-md", "story-ternary", "--lookup", "--draft", "6"});
  const ChildResult expected = run_program(chat), result = run_program(drafted);
  expect_success(result);
  EXPECT_EQ(result.out, expected.out);
}

// A model that brings a layer for it.
std::string layered_model(const TempDirectory& directory, bool foresees) {
  const FamilyFile& family = family_named("glm4moe");
  Config config = small_config(family);
  config.vocab_size = kAlphabetSize;
  config.seq_len = 128;
  GgufWriter writer = foresees ? foreseeing_gguf(family, config, 5) : family_gguf(family, config, 5);
  std::vector<std::string> pieces = alphabet();
  pieces[3] = "\u2581";
  add_llama_tokenizer(writer, pieces);
  return directory.write("layered.gguf", writer.content());
}

TEST_F(DraftsTool, AModelsOwnLayerGuesses) {
  for (const bool foresees : {false, true}) {
    const std::string model = layered_model(directory_, foresees);
    for (const std::string temperature : {"0", "0.9"}) {
      std::vector<std::string> plain = {"run",       model, "-p", "abc", "--temp",
                                        temperature, "-s",  "4",  "-n",  "60"};
      plain.emplace_back("--ignore-eos");
      const ChildResult expected = run_program(plain);
      expect_success(expected);
      for (const std::vector<std::string>& options :
           std::vector<std::vector<std::string>>{{"--mtp"},
                                                 {"--mtp", "--draft", "4", "-t", "2"},
                                                 {"--draft", "auto"},
                                                 {"-mtp", "--lookup", "--draft", "3", "-td", "1"}}) {
        std::vector<std::string> all = plain;
        all.insert(all.end(), options.begin(), options.end());
        const ChildResult result = run_program(all);
        expect_success(result);
        EXPECT_EQ(result.out, expected.out) << options.front();
        EXPECT_THAT(result.err,
                    AllOf(HasSubstr("the model's own layer guesses"), HasSubstr(" tokens a step")));
      }
    }
  }
  const ChildResult bench =
      run_program({"bench", layered_model(directory_, true), "-n", "60", "-r", "1", "--mtp", "--draft", "4"});
  expect_success(bench);
  EXPECT_THAT(bench.out, AllOf(HasSubstr("100.0%"), HasSubstr(" times as fast, the same text\n")));
}

TEST_F(DraftsTool, ALayerThatCannotBeReadIsLeftOutWhereNobodyAskedForIt) {
  const std::string model = layered_model(directory_, false);
  std::ifstream file(model, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  const std::string name = "nextn.enorm";
  content.replace(content.find(name), name.size(), "nextn.other");
  const std::string damaged = directory_.write("damaged.gguf", content);
  const ChildResult result = run_program({"run", damaged, "-p", "abc", "-n", "8", "--draft", "auto"});
  expect_success(result);
  EXPECT_THAT(result.err, AllOf(HasSubstr("enorm"), HasSubstr("the layer that drafts is left out")));
  expect_error(run_program({"run", damaged, "-p", "abc", "-q", "--mtp"}), 1, {"damaged.gguf: ", "enorm"});
}

TEST_F(DraftsTool, RefusesWhatCannotGuessForTheModel) {
  expect_error(run_program({"run", "story", "-p", "ab", "--mtp", "-q"}), 1,
               {"story.gguf: nextn_predict_layers: expected a layer that drafts", "glm4moe", "found none"});
  expect_error(run_program({"run", "story", "-p", "ab", "--mtp", "-md", "story", "-q"}), 2,
               {"--mtp", "--model-draft"});
  expect_error(run({"-z", tokenizer_, "-p", "ab", "-md", "story", "-q"}), 1,
               {"story.gguf: vocabulary: expected the model's of 30 tokens, found 2048"});
  expect_error(run({"-z", tokenizer_, "-p", "ab", "--ngrams", ngrams_of("once"), "-q"}), 1,
               {"text.ngrams: vocabulary: expected the model's"});
  expect_error(run({"-z", tokenizer_, "-p", "ab", "--ngrams", directory_.path() + "/none", "-q"}), 1,
               {"none"});
  const std::string text = directory_.write("own.txt", "once");
  expect_error(run_program({"ngrams", text, text}), 1,
               {text + ": expected another file than what is read, found " + text});
  for (const std::string wrong : {"16", "-1", "many", ""}) {
    expect_error(run({"-z", tokenizer_, "-p", "ab", "--draft", wrong}), 2,
                 {"--draft: expected auto, off or a whole number up to 15, found '" + wrong + "'"});
  }
}

TEST_F(DraftsTool, BenchShowsThemBesideNone) {
  const ChildResult table =
      run_program({"bench", "story", "-n", "30", "-r", "1", "-md", "story", "--draft", "4"});
  expect_success(table);
  EXPECT_THAT(table.out, AllOf(HasSubstr("30 tokens"), HasSubstr("with drafts"), HasSubstr("100.0%"),
                               HasSubstr(" times as fast, the same text\n")));
  const ChildResult json =
      run_program({"bench", "story", "-n", "30", "-r", "2", "--lookup", "--temp", "0.8", "--json"});
  expect_success(json);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["tokens"], 30);
  EXPECT_GT(parsed["without_drafts"]["tokens_per_second"], 0);
  EXPECT_GT(parsed["ratio"], 0);
  EXPECT_LE(parsed["accepted"], parsed["drafted"]);
  const ChildResult cut =
      run_program({"bench", "story", "-n", "30", "-r", "1", "--lookup", "-c", "20", "--json"});
  expect_success(cut);
  EXPECT_LT(nlohmann::json::parse(cut.out)["tokens"], 20) << "to the context's end";
  expect_error(run_program({"bench", "story", "-c", "20", "-q"}), 2,
               {"--ctx-size: expected drafts beside it"});
  expect_error(
      run_program({"bench", "story", "--lookup", "--prompt-file", directory_.path() + "/none", "-q"}), 1,
      {"none"});
  expect_error(run_program({"bench", "story", "--lookup", "-p", "5", "-q"}), 2,
               {"--n-prompt: expected none with drafts, which are measured along one text"});
  expect_error(run_program({"bench", "story", "--lookup", "-n", "5,6", "-q"}), 2,
               {"--n-gen: expected one number with drafts, found 2"});
}

}  // namespace
}  // namespace llamajit::test::drafts_test
