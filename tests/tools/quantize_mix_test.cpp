// llamajit quantize --target-bits, as its users call it.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/files/gguf.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::quantize_mix_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

GgufWriter alphabet_gguf() {
  GgufWriter w = llama_gguf(random_weights(toy_config(64, 128, 2, 4, 2, kAlphabetSize, 64, false), 2), kF32);
  add_llama_tokenizer(w, alphabet());
  return w;
}

class QuantizeMix : public AlphabetTest {
 protected:
  std::string at(const std::string& name) const { return directory_.path() + "/" + name; }
  ChildResult quantize(const std::string& out, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"quantize", toy_, out});
    return run_program(std::move(arguments));
  }
  std::string toy_ = directory_.write("toy.gguf", alphabet_gguf().content());
  std::string text_ = directory_.write("text", alphabet_text(60));
};

TEST_F(QuantizeMix, SaysWhatItChoseAndWhatIsLost) {
  const ChildResult result = quantize(at("a.gguf"), {"--target-bits", "6", "--kl-text", text_, "--formats",
                                                     "q4_0,Q8_0", "-c", "20", "--chunks", "2", "-t", "1"});
  expect_success(result);
  EXPECT_THAT(result.err, AllOf(HasSubstr("14 parts"), HasSubstr("28 times, about ")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("chosen"), HasSubstr("blk.1.ffn_gate.weight and 1 more"),
                                HasSubstr("Q8_0"), HasSubstr("bits a weight; the file has"),
                                HasSubstr("KL divergence over 38 tokens of "), HasSubstr(" predicted\n")));
  EXPECT_NE(GgufFile(at("a.gguf")).find_tensor("output.weight"), nullptr);
  // With other threads and on another tier, and again with formats by default.
  expect_success(quantize(at("b.gguf"), {"--target-bits", "6", "--kl-text", text_, "--formats", "Q4_0,Q8_0",
                                         "-c", "20", "--chunks", "2", "-t", "3"}));
  EXPECT_EQ(content_of(at("a.gguf")), content_of(at("b.gguf")));
}

TEST_F(QuantizeMix, BadArgumentsAreErrors) {
  const std::string out = at("out.gguf");
  expect_error(quantize(out, {"--target-bits", "6"}), 2, {"--target-bits", "--kl-text"});
  expect_error(quantize(out, {"--kl-text", text_}), 2, {"--kl-text", "--target-bits"});
  expect_error(quantize(out, {}), 2, {"TYPE", "--target-bits"});
  expect_error(quantize(out, {"Q4_0", "--target-bits", "6", "--kl-text", text_}), 2,
               {"TYPE", "--target-bits"});
  expect_error(quantize(out, {"Q4_0", "--chunks", "6"}), 2, {"--chunks", "--target-bits"});
  expect_error(quantize(out, {"--target-bits", "0", "--kl-text", text_}), 2, {"--target-bits"});
  expect_error(quantize(out, {"--target-bits", "6", "--kl-text", text_, "--formats", "Q4_0,Q4_K_M"}), 2,
               {"--formats", "'Q4_K_M'"});
  expect_error(quantize(out, {"--target-bits", "3", "--kl-text", text_, "--formats", "Q8_0"}), 2,
               {"--target-bits: expected at least 8.", "found 3"});
  expect_error(quantize(out, {"--target-bits", "6", "--kl-text", "/nowhere.txt"}), 1, {"/nowhere.txt"});
  expect_error(run_program({"quantize", model_, out, "--target-bits", "6", "--kl-text", text_}), 1,
               {model_, "a GGUF file"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

// A model whose context is a single token predicts nothing that could be lost.
TEST_F(QuantizeMix, AContextOfOneTokenIsAnError) {
  GgufWriter w = alphabet_gguf();
  w.remove("llama.context_length");
  w.add("llama.context_length", 1);
  const std::string model = directory_.write("one.gguf", w.content());
  expect_error(run_program({"quantize", model, at("out.gguf"), "--target-bits", "9", "--kl-text", text_}), 1,
               {model, "2 tokens", "found 1"});
}

// Its name begins as those of a layer's tensors do, and has no part that says which of them it is.
TEST_F(QuantizeMix, ATensorOfAnotherNameIsAnError) {
  GgufWriter w = alphabet_gguf();
  w.add_tensor("blk.0weight", {32, 2}, kF32, std::string(256, '\0'));
  const std::string model = directory_.write("other.gguf", w.content());
  expect_error(run_program({"quantize", model, at("out.gguf"), "--target-bits", "9", "--kl-text", text_}), 1,
               {"blk.0weight: expected tensors that a model of the family llama has"});
}

// And not only once all has been measured, which may take hours.
TEST_F(QuantizeMix, WhatCannotBeWrittenIsKnownBeforeTheMeasuring) {
  for (const std::string& out : {at("nowhere/out.gguf"), toy_}) {
    const ChildResult result = quantize(out, {"--target-bits", "9", "--kl-text", text_});
    expect_error(result, 1, {out});
    EXPECT_THAT(result.err, Not(HasSubstr(" parts of "))) << out;
  }
}

}  // namespace
}  // namespace llamajit::test::quantize_mix_test
