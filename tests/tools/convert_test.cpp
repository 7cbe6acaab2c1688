// llamajit convert, and legacy ggml files wherever a model is asked for.
#include <filesystem>

#include "runtime/files/gguf.h"
#include "runtime/files/llama2c.h"
#include "runtime/files/tokenizer_bin.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/legacy_writer.h"
#include "tests/support/program_fixture.h"
#include "tests/support/test_data.h"

namespace llamajit::test::convert_test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The alphabet's model, with the feed-forward's size that legacy files give it.
CheckpointWeights legacy_alphabet() {
  CheckpointWeights weights = chain_model(alphabet_chain(), 100);
  Config& c = weights.config;
  c.hidden_dim = 96;  // 2 * (4 * 30) / 3, rounded up to a multiple of 32
  const auto size = static_cast<std::size_t>(c.hidden_dim * c.dim);
  for (auto& layer : weights.layers) {
    for (auto* matrix : {&layer.gate, &layer.up, &layer.down}) matrix->assign(size, 0.0F);
  }
  return weights;
}

class ConvertTool : public AlphabetTest {
 protected:
  std::string out() const { return directory_.path() + "/out.gguf"; }
  static ChildResult convert(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "convert");
    return run_program(std::move(arguments));
  }
  static std::string text_of(const std::vector<std::string>& arguments) {
    const ChildResult result = run_program(arguments);
    expect_success(result);
    return result.out;
  }

  std::string legacy_ =
      directory_.write("legacy.bin", legacy_files(legacy_alphabet(), alphabet(), {}).front());
};

TEST_F(ConvertTool, CheckpointsTakeTheTokenizerBesideThemAlong) {
  const ChildResult result = convert({model_, out()});
  expect_success(result);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("blk.0.ffn_down.weight"));
  EXPECT_THAT(result.out, HasSubstr("all weights are exactly those of the model\n"));
  EXPECT_EQ(text_of({"run", out(), "-p", "ab"}), alphabet_text(26));
}

TEST_F(ConvertTool, LegacyFilesHaveTheirOwn) {
  expect_success(convert({legacy_, out(), "-t", "1"}));
  EXPECT_EQ(text_of({"run", out(), "-p", "ab"}), alphabet_text(26));
}

TEST_F(ConvertTool, SaysWhatItRounded) {
  const std::string in = directory_.write(
      "v2.bin", write_v2(random_weights(toy_config(64, 128, 1, 2, 2, kAlphabetSize, 32, true), 1), 32));
  const ChildResult result = convert({in, out(), "-z", tokenizer_});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("tensors are not exactly those of the model: their codes are, but"));
}

TEST_F(ConvertTool, BadArgumentsAreUsageErrors) {
  expect_error(convert({model_}), 2, {"OUT"});
  expect_error(convert({model_, out(), "Q4_0"}), 2, {"Q4_0"});
  expect_error(convert({model_, out(), "-t", "0"}), 2, {"--threads"});
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(ConvertTool, FilesThatCannotBeUsedAreErrors) {
  const std::string gguf =
      directory_.write("in.gguf", llama_gguf(chain_model(alphabet_chain(), 100), kF32).content());
  expect_error(convert({gguf, out()}), 1, {gguf, "expected a llama2.c checkpoint or a legacy ggml file"});
  expect_error(convert({"/nowhere.bin", out()}), 1, {"/nowhere.bin"});
  expect_error(convert({legacy_, "/nowhere/out.gguf"}), 1, {"/nowhere/out.gguf"});
  expect_error(convert({legacy_, legacy_}), 1, {legacy_, "another file"});
  expect_error(convert({legacy_, out(), "-z", model_}), 1, {model_, "found a model; -z takes a tokenizer"});
  expect_error(convert({tokenizer_, out()}), 1, {tokenizer_, "magic"});
  std::filesystem::remove(tokenizer_);
  expect_error(convert({model_, out()}), 1, {"tokenizer.bin", "-z"});
  // What is no model has no tokenizer to miss.
  const std::string picture = directory_.write("picture.png", "\x89PNG\r\n\x1A\n" + std::string(300, 'x'));
  expect_error(convert({picture, out()}), 1, {picture, "expected a model", "a picture (PNG)"});
  expect_error(run_program({"quantize", picture, out(), "Q8_0"}), 1, {picture, "a picture (PNG)"});
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(ConvertTool, LegacyFilesAreModelsEverywhere) {
  EXPECT_EQ(text_of({"run", legacy_, "-p", "ab"}), alphabet_text(26));
  EXPECT_EQ(text_of({"tokenize", legacy_, "-p", "ab", "--ids"}), "1 3 4 5\n");
  EXPECT_EQ(text_of({"tokenize", legacy_, "-z", tokenizer_, "-p", "ab", "--ids"}), "1 3 4 5\n");
  const std::string inspected = text_of({"inspect", legacy_});
  EXPECT_THAT(inspected, HasSubstr("format        ggml legacy\n"));
  EXPECT_THAT(inspected, HasSubstr("n_ff          96\n"));
  EXPECT_THAT(inspected, HasSubstr("layers.0.feed_forward.w2.weight"));
  EXPECT_THAT(text_of({"inspect", legacy_, "--json"}), HasSubstr("\"runs\": true"));
  EXPECT_THAT(text_of({"verify", legacy_}), HasSubstr("all"));
  const std::string text = directory_.write("text.txt", "abcdefghijklm");
  EXPECT_THAT(text_of({"perplexity", legacy_, "-f", text}), HasSubstr("perplexity"));
  expect_success(run_program({"quantize", legacy_, out(), "F16"}));
  EXPECT_EQ(text_of({"run", out(), "-p", "ab"}), alphabet_text(26));
}

TEST_F(ConvertTool, InspectionSaysWhyALegacyFileDoesNotRun) {
  std::string content = legacy_files(legacy_alphabet(), alphabet(), {}).front();
  content.replace(content.find("attention.wk"), 12, "attention.wx");
  const std::string damaged = directory_.write("damaged.bin", content);
  EXPECT_THAT(text_of({"inspect", damaged}), HasSubstr("runs          no: " + damaged +
                                                       ": layers.0.attention.wk.weight: expected a tensor"));
  expect_error(run_program({"run", damaged, "-p", "a"}), 1, {damaged, "layers.0.attention.wk.weight"});
}

// --- a trained model ---

class ConvertStories : public ConvertTool {
 protected:
  static constexpr const char* kPrompt = "Once upon a time";
  static std::string story(const std::vector<std::string>& model) {
    std::vector<std::string> arguments{"run"};
    arguments.insert(arguments.end(), model.begin(), model.end());
    arguments.insert(arguments.end(), {"-p", kPrompt, "-n", "200"});
    return text_of(arguments);
  }
  void SetUp() override {
    LLAMAJIT_REQUIRE_FILE(stories_);
    LLAMAJIT_REQUIRE_FILE(tokenizer512_);
  }

  const std::string stories_ = test_data("stories260K.bin"), tokenizer512_ = test_data("tok512.bin");
};

TEST_F(ConvertStories, TellsTheSameStoryAsGguf) {
  expect_success(convert({stories_, out(), "-z", tokenizer512_}));
  const std::string expected = story({stories_, "-z", tokenizer512_});
  EXPECT_THAT(expected, StartsWith("Once upon a time, there was a little girl named Lily."));
  EXPECT_EQ(story({out()}), expected);
}

// Legacy files have a K/V head for each head, so those of the model are repeated; that changes no bit.
TEST_F(ConvertStories, TellsTheSameStoryAsALegacyFile) {
  CheckpointWeights weights = weights_of(read_llama2c(stories_));
  Config& c = weights.config;
  const std::size_t head = static_cast<std::size_t>(c.head_dim() * c.dim);
  for (auto& layer : weights.layers) {
    for (auto* matrix : {&layer.wk, &layer.wv}) {
      std::vector<float> repeated;
      for (int i = 0; i < c.n_heads; ++i) {
        const auto from =
            matrix->begin() + static_cast<std::ptrdiff_t>(head) * (i * c.n_kv_heads / c.n_heads);
        repeated.insert(repeated.end(), from, from + static_cast<std::ptrdiff_t>(head));
      }
      *matrix = repeated;
    }
  }
  c.n_kv_heads = c.n_heads;
  weights.classifier = weights.embedding;
  c.shared_classifier = false;
  const Vocab vocab = read_tokenizer_bin(tokenizer512_, c.vocab_size);
  std::vector<std::string> pieces;
  pieces.reserve(static_cast<std::size_t>(vocab.size()));
  for (TokenId id = 0; id < vocab.size(); ++id) pieces.push_back(id < 3 ? "" : vocab[id].bytes);
  for (const int parts : {1, 2}) {
    const auto files = legacy_files(weights, pieces, {.n_mult = 4, .n_parts = parts});
    const std::string legacy = directory_.write("stories.bin", files.front());
    if (parts == 2) directory_.write("stories.bin.1", files.back());
    EXPECT_EQ(story({legacy}), story({stories_, "-z", tokenizer512_}));
  }
}

}  // namespace
}  // namespace llamajit::test::convert_test
