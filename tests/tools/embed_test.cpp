// llamajit embed: vectors as lines of JSON.
#include <cmath>
#include <sstream>

#include <nlohmann/json.hpp>

#include "runtime/files/model_reader.h"
#include "tests/support/family_writer.h"
#include "tests/support/program_fixture.h"
#include "tests/support/reference_model.h"

namespace llamajit::test::embed_test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Json = nlohmann::json;

class EmbedTool : public AlphabetTest {
 protected:
  static std::vector<std::vector<double>> vectors(std::vector<std::string> arguments,
                                                  const std::string& input = "") {
    arguments.insert(arguments.begin(), "embed");
    ChildOptions options;
    options.input = input;
    const ChildResult result = run_program(std::move(arguments), options);
    expect_success(result);
    std::vector<std::vector<double>> vectors;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      vectors.push_back(Json::parse(line).get<std::vector<double>>());
    }
    return vectors;
  }
};

TEST_F(EmbedTool, ALineForEachText) {
  const auto two = vectors({"story", "-p", "A cat sat.", "-p", "A dog ran."});
  ASSERT_THAT(two, SizeIs(2));
  EXPECT_NE(two[0], two[1]);
  for (const auto& vector : two) {
    double squares = 0;
    for (const double x : vector) squares += x * x;
    EXPECT_NEAR(squares, 1, 1e-5);
  }
  EXPECT_EQ(vectors({"story", "-t", "2"}, "A cat sat.\nA dog ran.\n"), two);
  EXPECT_EQ(vectors({"story", "-f", directory_.write("lines.txt", "A cat sat.\nA dog ran.")}), two);
  EXPECT_EQ(vectors({"story"}, "A cat sat.\r\nA dog ran.\r\n"), two);
}

TEST_F(EmbedTool, PoolingAndLengthAsAsked) {
  const auto mean = vectors({"story", "-p", "A cat sat."});
  EXPECT_EQ(vectors({"story", "-p", "A cat sat.", "--pooling", "mean"}), mean);
  EXPECT_NE(vectors({"story", "-p", "A cat sat.", "--pooling", "last"}), mean);
  const auto longer = vectors({"story", "-p", "A cat sat.", "--any-length"});
  double squares = 0;
  for (const double x : longer.front()) squares += x * x;
  EXPECT_GT(std::abs(squares - 1), 0.1);
  EXPECT_NEAR(longer.front()[0] / std::sqrt(squares), mean.front()[0], 1e-6);
}

TEST_F(EmbedTool, SaysWhatIsTooLong) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "a cat ";
  expect_error(run_program({"embed", "story", "-q", "-p", text}), 1,
               {"text 1: expected 1 to", "(the context), found"});
  expect_error(run_program({"embed", "story", "-p", "a", "--pooling", "sum"}), 2, {"--pooling"});
}

// A BERT of random weights, whose tokenizer has WordPiece's vocabulary.
class EmbedEncoder : public EmbedTool {
 protected:
  EmbedEncoder() {
    std::vector<std::string> pieces{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    std::vector<std::int32_t> types(5, 3);
    for (char letter = 'a'; letter <= 'v'; ++letter) {
      for (const char* const begin : {"\u2581", ""}) pieces.push_back(begin + std::string(1, letter));
    }
    pieces.emplace_back("\u2581cat");
    types.resize(pieces.size(), 1);
    const FamilyFile& bert = kEncoderFiles[0];
    GgufWriter writer = family_gguf(bert, small_config(bert), 12);
    writer.add("bert.pooling_type", 2);
    writer.add("tokenizer.ggml.model", "bert");
    writer.add("tokenizer.ggml.tokens", pieces);
    writer.add("tokenizer.ggml.token_type", types);
    writer.add("tokenizer.ggml.unknown_token_id", 1);
    writer.add("tokenizer.ggml.cls_token_id", 2);
    writer.add("tokenizer.ggml.seperator_token_id", 3);
    bert_ = directory_.write("bert.gguf", writer.content());
  }

  std::string bert_;
};

TEST_F(EmbedEncoder, MakesTheVectorsOfPlainMathematics) {
  const ChildResult ids = run_program({"tokenize", bert_, "-p", "A bad cat"});
  expect_success(ids);
  const ModelFile file = read_model(bert_);
  const auto hidden = reference_hidden(file, {2, 5, 7, 6, 12, 49, 3});     // [CLS] a b ##a ##d cat [SEP]
  const auto first = vectors({bert_, "-p", "A bad cat", "--any-length"});  // as the file's pooling says
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(first[0], SizeIs(hidden[0].size()));
  const auto mean = vectors({bert_, "-p", "A bad cat", "--any-length", "--pooling", "mean"});
  for (std::size_t i = 0; i < hidden[0].size(); ++i) {
    EXPECT_NEAR(first[0][i], hidden[0][i], 1e-4);
    double sum = 0;
    for (const auto& state : hidden) sum += state[i];
    EXPECT_NEAR(mean[0][i], sum / static_cast<double>(hidden.size()), 1e-4);
  }
}

TEST_F(EmbedEncoder, TextsFitOrAreRefused) {
  const std::string fits(22, 'a');  // with what begins and ends a text, the context
  EXPECT_THAT(vectors({bert_, "-p", fits}), SizeIs(1));
  expect_error(run_program({"embed", bert_, "-q", "-p", fits + "a"}), 1,
               {"text 1: expected 1 to 24 tokens (the context), found 25"});
}

TEST_F(EmbedEncoder, WritesNoText) {
  const std::string says = bert_ + ": expected a model that writes text, found an encoder";
  expect_error(run_program({"run", bert_, "-q", "-p", "a"}), 1, {says});
  expect_error(run_program({"chat", bert_, "-q"}), 1, {says});
  expect_error(run_program({"bench", bert_, "-q"}), 1, {says});
  expect_error(run_program({"perplexity", bert_, "-q", "-f", directory_.write("text.txt", "a b")}), 1,
               {says});
  expect_error(run_program({"report", bert_, "-q", "-o", directory_.path() + "/page.html"}), 1, {says});
  expect_success(run_program({"verify", bert_}));
  EXPECT_THAT(run_program({"inspect", bert_}).out, HasSubstr("token_types.weight"));
}

}  // namespace
}  // namespace llamajit::test::embed_test
