// The way of llama2.asm, the program before this one: no arguments, two files with fixed names, a line of
// standard input. Each of its faults has a test here that would find it again; those of the numbers (grouped
// heads, rows of any length) are in runtime/engine_test.cpp.
#include <fmt/format.h>

#include "tests/support/program_fixture.h"

namespace llamajit::test::seed_test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class Seed : public AlphabetTest {
 protected:
  explicit Seed(int context = 1000) : AlphabetTest(context) {}

  ChildResult say(const std::string& line) const {
    ChildOptions options;
    options.directory = directory_.path();
    options.input = line;
    return run_program({}, options);
  }
};

class SeedWithShortContext : public Seed {
 protected:
  SeedWithShortContext() : Seed(100) {}
};

TEST_F(Seed, ReadsOneLineAndEndsWithSuccess) {
  const ChildResult result = say("abc\nxyz\n");
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(26)) << "neither the prompt's end twice nor the text's end lost";
}

TEST_F(Seed, ALineNeedsNoNewline) {
  EXPECT_EQ(say("abc").out, alphabet_text(26));
  EXPECT_EQ(say("").out, alphabet_text(26));
  EXPECT_EQ(say("\n").out, alphabet_text(26));
}

TEST_F(Seed, AShortRunDividesNothingByZero) {
  const ChildResult result = say("z");
  expect_success(result);
  EXPECT_EQ(result.out, "z");
  EXPECT_THAT(result.err, HasSubstr("generated 0 tokens"));
  EXPECT_THAT(result.err, Not(HasSubstr("inf")));
  EXPECT_THAT(result.err, Not(HasSubstr("nan")));
}

TEST_F(Seed, LongPromptsOfAnyKindAreFine) {
  for (const std::string& prompt : {std::string(40, ' ') + "a", std::string(600, 'q'), alphabet_text(599)}) {
    const ChildResult result = say(prompt + "\n");
    expect_success(result);
    EXPECT_THAT(result.out, ::testing::StartsWith(prompt));
    EXPECT_THAT(result.out, EndsWith("xyz"));
  }
}

TEST_F(SeedWithShortContext, APromptBeyondTheContextIsAnError) {
  expect_error(say(std::string(600, 'q')), 1,
               {"prompt: expected at most 100 tokens (the context), found 602"});
}

TEST_F(SeedWithShortContext, TheModelsContextEndsTheText) {
  directory_.write("model.bin", write_v0(chain_model(endless_chain(), 100)));
  const ChildResult result = say("a");
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(99));
  EXPECT_THAT(result.err, HasSubstr("stopped: end of the context"));
}

TEST_F(Seed, BytesThatAreNotAsciiAreThemselves) {
  directory_.write("model.bin", write_v0(chain_model(byte_chain("글한"), 30)));
  directory_.write("tokenizer.bin", tokenizer_file(byte_pieces()));
  const ChildResult result = say("한\n");
  expect_success(result);
  EXPECT_THAT(result.out, ::testing::StartsWith("한글한글"));
}

TEST_F(Seed, LargeVocabulariesAndLongTokensAreFine) {
  constexpr int kVocab = 70001;
  std::vector<std::string> pieces = alphabet();
  while (pieces.size() < kVocab - 1) pieces.push_back(fmt::format("t{}", pieces.size()));
  const std::string last(300, 'L');
  pieces.push_back(last);
  directory_.write("tokenizer.bin", tokenizer_file(pieces));
  // All embeddings are alike, and the classifier knows the last token only.
  CheckpointWeights w = random_weights(toy_config(4, 4, 1, 1, 1, kVocab, 5, false), 1);
  w.embedding.assign(w.embedding.size(), 1.0F);
  w.classifier.assign(w.classifier.size(), 0.0F);
  std::fill(w.classifier.end() - 4, w.classifier.end(), 1.0F);
  w.layers[0].wo.assign(16, 0.0F);
  w.layers[0].down.assign(16, 0.0F);
  directory_.write("model.bin", write_v0(w));
  const ChildResult result = say("a\n");
  expect_success(result);
  EXPECT_EQ(result.out, "a" + last + last + last) << "3 of 5 positions were the prompt's";
}

TEST(SeedFiles, WithoutThemTheProgramSaysHowItIsUsed) {
  const TempDirectory empty;
  ChildOptions options;
  options.directory = empty.path();
  const ChildResult result = run_program({}, options);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("model.bin and tokenizer.bin"));
}

TEST(SeedFiles, MoreThanTwoGibibytesAreReadAsTheyAre) {
  const TempDirectory directory;
  const Config config = toy_config(1024, 1024, 1, 8, 8, 1 << 20, 16, true);
  // Header and nothing else: a file with holes is as long as it says.
  std::string header = "24ka";
  for (const std::int32_t field : {1, config.dim, config.hidden_dim, config.n_layers, config.n_heads,
                                   config.n_kv_heads, config.vocab_size, config.seq_len, 1}) {
    header.append(reinterpret_cast<const char*>(&field), 4);
  }
  const std::uintmax_t floats = std::uintmax_t{1024} * (1 << 20) + std::uintmax_t{7} * 1024 * 1024 + 3 * 1024;
  const std::string model = directory.write("model.bin", header);
  std::error_code error;
  std::filesystem::resize_file(model, 256 + 4 * floats, error);
  if (error) GTEST_SKIP() << "no files with holes here: " << error.message();
  const ChildResult result = run_program({"inspect", model});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("4294967296"));
}

}  // namespace
}  // namespace llamajit::test::seed_test
