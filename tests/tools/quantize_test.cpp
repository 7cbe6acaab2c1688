// llamajit quantize, as its users call it.
#include <filesystem>

#include "runtime/files/gguf.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::quantize_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class QuantizeTool : public AlphabetTest {
 protected:
  std::string out() const { return directory_.path() + "/out.gguf"; }
  static ChildResult quantize(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "quantize");
    return run_program(std::move(arguments));
  }
  void expect_nothing_written() const { EXPECT_FALSE(std::filesystem::exists(out())); }
};

TEST_F(QuantizeTool, ACheckpointWithItsTokenizerRunsAsGguf) {
  const ChildResult result = quantize({model_, out(), "F32", "-z", tokenizer_});
  expect_success(result);
  EXPECT_EQ(result.err, "");  // no progress bar where there is no terminal
  EXPECT_THAT(result.out, HasSubstr("tensor"));
  EXPECT_THAT(result.out, HasSubstr("blk.0.ffn_down.weight"));
  const ChildResult text = run_program({"run", out(), "-p", "ab"});
  expect_success(text);
  EXPECT_EQ(text.out, alphabet_text(26));
}

TEST_F(QuantizeTool, SaysWhichFormatItTookInstead) {
  const ChildResult result = quantize({model_, out(), "q4_k_m", "-t", "3"});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("(not Q4_K: rows of"));
}

TEST_F(QuantizeTool, WarnsOfFewBitsWithoutAnImportanceMatrix) {
  const ChildResult few = quantize({model_, out(), "iq2_xs", "-z", tokenizer_});
  expect_success(few);
  EXPECT_THAT(few.err, AllOf(HasSubstr("IQ2_XS"), HasSubstr("importance matrix")));
  EXPECT_EQ(quantize({model_, out(), "iq3_s", "-z", tokenizer_}).err, "");
}

TEST_F(QuantizeTool, OwnFormatsForEmbeddingAndClassifier) {
  expect_success(quantize({model_, out(), "F32", "--output-type", "bf16", "--embedding-type", "F16"}));
  const GgufFile file(out());
  EXPECT_EQ(file.find_tensor("token_embd.weight")->type->name, "F16");
  EXPECT_EQ(file.find_tensor("output.weight")->type->name, "BF16");
  EXPECT_EQ(file.find_tensor("blk.0.attn_q.weight")->type->name, "F32");
}

TEST_F(QuantizeTool, Bf16IsMultipliedAsSuchUnlessToldOtherwise) {
  expect_success(quantize({model_, out(), "BF16", "-z", tokenizer_}));
  const auto kernels = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"kernels", out(), "--isa", "avx2"});
    const ChildResult result = run_program(std::move(options));
    expect_success(result);
    return result.out;
  };
  EXPECT_THAT(kernels({}), HasSubstr("matvec_bf16_pairs_"));
  EXPECT_THAT(kernels({"--bf16"}), HasSubstr("matvec_bf16_pairs_"));
  EXPECT_THAT(kernels({"--no-bf16"}), AllOf(HasSubstr("matvec_bf16_"), Not(HasSubstr("bf16_pairs"))));
  expect_error(run_program({"run", out(), "--bf16", "--no-bf16"}), 2, {"--no-bf16", "--bf16"});
}

TEST_F(QuantizeTool, BadArgumentsAreUsageErrors) {
  expect_error(quantize({model_, out(), "Q9_9"}), 2, {"TYPE", "Q4_K_M", "'Q9_9'"});
  expect_error(quantize({model_, out(), "Q4_0", "--output-type", "Q4_K_M"}), 2,
               {"--output-type", "'Q4_K_M'"});
  expect_error(quantize({model_, out(), "Q4_0", "--embedding-type", ""}), 2, {"--embedding-type"});
  expect_error(quantize({model_, out()}), 2, {"TYPE"});
  expect_error(quantize({model_, out(), "Q4_0", "-t", "0"}), 2, {"--threads"});
  const std::string gguf =
      directory_.write("in.gguf", llama_gguf(chain_model(alphabet_chain(), 100), kF32).content());
  expect_error(quantize({gguf, out(), "Q4_0", "-z", tokenizer_}), 2, {"-z", gguf});
  expect_nothing_written();
}

TEST_F(QuantizeTool, FilesThatCannotBeUsedAreErrors) {
  expect_error(quantize({"/nowhere.bin", out(), "Q4_0"}), 1, {"/nowhere.bin"});
  expect_error(quantize({model_, "/nowhere/out.gguf", "Q4_0"}), 1, {"/nowhere/out.gguf"});
  expect_error(quantize({model_, model_, "Q4_0"}), 1, {model_, "another file"});
  expect_error(quantize({model_, directory_.path(), "Q4_0"}), 1, {directory_.path()});
  expect_error(quantize({model_, out(), "Q4_0", "-z", model_}), 1, {model_});
  expect_nothing_written();
}

// A disk that is full: here a limit on the size of files.
TEST_F(QuantizeTool, WhatCannotBeWrittenLeavesNothing) {
  const ChildResult result =
      run_child({"/bin/sh", "-c", R"(trap '' XFSZ; ulimit -f 1; exec "$0" quantize "$1" "$2" F32)",
                 LLAMAJIT_PROGRAM, model_, out()});
  expect_error(result, 1, {out(), "too large"});
  expect_nothing_written();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 2);
}

}  // namespace
}  // namespace llamajit::test::quantize_test
