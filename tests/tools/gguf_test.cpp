// GGUF files through every subcommand.
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/support/gguf_writer.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::gguf_test {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// The alphabet's pieces as GGUF vocabularies write them.
std::vector<std::string> gguf_alphabet() {
  std::vector<std::string> pieces = alphabet();
  pieces[3] = "\u2581";
  return pieces;
}

GgufWriter alphabet_gguf() {
  GgufWriter w = llama_gguf(chain_model(alphabet_chain(), 100), kF32);
  add_llama_tokenizer(w, gguf_alphabet());
  return w;
}

// Without weights.
GgufWriter vocabulary_gguf() {
  GgufWriter w;
  w.add("general.architecture", "llama");
  add_llama_tokenizer(w, gguf_alphabet());
  return w;
}

class Gguf : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const GgufWriter& writer) const {
    return directory_.write(name, writer.content());
  }
  static void expect_out(const std::vector<std::string>& arguments, const std::string& out) {
    const ChildResult result = run_program(arguments);
    expect_success(result);
    EXPECT_EQ(result.out, out);
  }
  TempDirectory directory_;
  std::string model_ = write("model.gguf", alphabet_gguf());
};

TEST_F(Gguf, RunsWithTheTokenizerInside) {
  expect_out({"run", model_, "-p", "ab"}, alphabet_text(26));
  expect_out({"run", model_, "-p", ""}, alphabet_text(26));
  expect_out({"run", model_, "-p", "xy", "--no-echo", "-t", "3"}, "z");
  expect_out({"run", model_, "-p", "x", "-n", "1"}, "xy");
}

TEST_F(Gguf, ATokenizerOnTheSideGoesFirst) {
  const std::string other = directory_.write("other.bin", tokenizer_file([] {
                                               auto pieces = alphabet();
                                               std::swap(pieces[4], pieces[5]);
                                               return pieces;
                                             }()));
  expect_out({"run", model_, "-z", other, "-p", "b", "-n", "2"}, "bac");
}

TEST_F(Gguf, AnyEndTokenEndsTheText) {
  GgufWriter w = alphabet_gguf();
  w.add("tokenizer.ggml.eot_token_id", 8);  // "e"
  expect_out({"run", write("eot.gguf", w), "-p", "a"}, "abcd");
  w.remove("tokenizer.ggml.eos_token_id");
  w.remove("tokenizer.ggml.bos_token_id");
  w.add("tokenizer.ggml.bos_token_id", 6);  // "c": begins texts, and does not end them
  w.add("tokenizer.ggml.add_bos_token", false);
  expect_out({"run", write("bos.gguf", w), "-p", "a"}, "abcd");
}

TEST_F(Gguf, NamesOfControlTokensStandForThemInPrompts) {
  expect_out({"tokenize", model_, "-p", "a</s>b", "--ids"}, "1 3 4 2 3 5\n");
  expect_out({"run", model_, "-p", "<s>", "-n", "2", "--no-echo"}, "ab");
  // "<" is no piece here.
  expect_out({"tokenize", model_, "-p", "</s>", "--no-special", "--ids"}, "1 3 0 0 22 0\n");
  expect_out({"tokenize", model_, "-p", "</s>", "--no-parse-special", "--ids"}, "1 3 0 0 22 0\n");
}

TEST_F(Gguf, TokenizesWithAVocabularyAlone) {
  const std::string vocabulary = write("vocabulary.gguf", vocabulary_gguf());
  expect_out({"tokenize", vocabulary, "-p", "ab", "--ids"}, "1 3 4 5\n");
  expect_out({"tokenize", vocabulary, "-p", "ab", "--ids", "--no-bos"}, "3 4 5\n");
  expect_out({"tokenize", vocabulary, "-p", "a</s>"},
             "     1  <s> (control)\n     3  ' '\n     4  'a'\n     2  </s> (control)\n");
}

TEST_F(Gguf, AVocabularyAloneIsNoModel) {
  const std::string vocabulary = write("vocabulary.gguf", vocabulary_gguf());
  const std::string out = directory_.path() + "/out.gguf";
  const std::vector<std::string> parts{vocabulary, "tensors: expected the weights of a model, found none",
                                       "a vocabulary alone"};
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"run", vocabulary, "-p", "a"},
                                                    {"chat", vocabulary, "-p", "a"},
                                                    {"bench", vocabulary},
                                                    {"verify", vocabulary},
                                                    {"quantize", vocabulary, out, "Q8_0"}}) {
    SCOPED_TRACE(arguments.front());
    expect_error(run_program(arguments), 1, parts);
  }
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Gguf, AnEmptyPromptNeedsATokenThatBeginsTexts) {
  GgufWriter w = llama_gguf(chain_model(alphabet_chain(), 100), kF32);
  std::vector<std::string> pieces = alphabet();
  for (std::string& piece : pieces) piece = piece == " " ? "Ġ" : piece;
  w.add("tokenizer.ggml.model", "gpt2");
  w.add("tokenizer.ggml.pre", "gpt-2");
  w.add("tokenizer.ggml.tokens", pieces);
  w.add("tokenizer.ggml.merges", std::vector<std::string>{});
  w.add("tokenizer.ggml.eos_token_id", 2);
  const std::string model = write("bpe.gguf", w);
  expect_out({"run", model, "-p", "a b"}, "a bcdefghijklmnopqrstuvwxyz");
  expect_error(run_program({"run", model, "-p", ""}), 1, {"prompt: expected text"});
}

TEST_F(Gguf, InspectShowsMetadataAndTensors) {
  GgufWriter w = alphabet_gguf();
  w.add("general.name", "evil\x1B[31m name\n" + std::string(200, 'x'));
  const ChildResult result = run_program({"inspect", write("named.gguf", w)});
  expect_success(result);
  for (const char* part : {"format        GGUF v3\n", "general.architecture ", " llama\n",
                           "llama.block_count ", "tokenizer.ggml.tokens ",
                           "30 of them: <unk>, <s>, </s>, \u2581, a, b, …\n", "evil\\x1B[31m name\\x0Axxx",
                           "… (215 bytes)\n", "blk.0.ffn_down.weight ", "(30, 8)", "F32", "12 tensors, "}) {
    EXPECT_THAT(result.out, HasSubstr(part)) << result.out;
  }
  EXPECT_EQ(result.out.find("runs "), std::string::npos);
  EXPECT_THAT(result.out, HasSubstr("\na token reads "));
  EXPECT_THAT(result.out, HasSubstr(" of weights\na text keeps "));
}

TEST_F(Gguf, InspectAsJson) {
  GgufWriter w = alphabet_gguf();
  w.add("text", "\xFF is no UTF-8");
  const ChildResult result = run_program({"inspect", "--json", write("json.gguf", w)});
  expect_success(result);
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["format"], "GGUF v3");
  EXPECT_EQ(json["runs"], true);
  EXPECT_GT(json["token"]["weight_bytes"], 0);
  EXPECT_EQ(json["token"]["window_bytes"], 0);
  EXPECT_EQ(json["metadata"]["llama.block_count"], 1);
  EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"].size(), 30);
  EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"][4], "a");
  EXPECT_EQ(json["metadata"]["text"], "\uFFFD is no UTF-8");
  EXPECT_EQ(json["tensors"].size(), 12);
  EXPECT_EQ(json["tensors"][0]["name"], "token_embd.weight");
  EXPECT_EQ(json["tensors"][0]["shape"], (std::vector<int>{30, 30}));
  EXPECT_EQ(json["tensors"][0]["format"], "F32");
  EXPECT_EQ(json["tensors"][0]["offset"].get<int>() % 32, 0);
  EXPECT_EQ(json["tensors"][0]["bytes"], 3600);
  const ChildResult checkpoint = run_program(
      {"inspect", "--json", directory_.write("m.bin", write_v0(chain_model(alphabet_chain(), 100)))});
  expect_success(checkpoint);
  EXPECT_EQ(Json::parse(checkpoint.out)["metadata"]["dim"], 30);
}

TEST_F(Gguf, InspectSaysWhyAModelCannotRun) {
  GgufWriter w = alphabet_gguf();
  w.remove("general.architecture");
  w.add("general.architecture", "mamba");
  const std::string path = write("mamba.gguf", w);
  const ChildResult result = run_program({"inspect", path});
  expect_success(result);
  EXPECT_THAT(result.out,
              HasSubstr("runs          no: " + path +
                        ": general.architecture: expected a supported family of models (llama, "));
  expect_error(run_program({"run", path, "-p", "a"}), 1,
               {path, "expected a supported family of models (llama, ", "found 'mamba'"});
  expect_error(run_program({"verify", path}), 1, {path, "found 'mamba'"});
  expect_error(run_program({"bench", path}), 1, {path, "found 'mamba'"});
}

TEST_F(Gguf, ModelsInPartsAreOneModel) {
  const auto weights = chain_model(alphabet_chain(), 100);
  GgufWriter first = alphabet_gguf();
  GgufWriter second;
  first.remove_tensor("output.weight");
  second.add_tensor("output.weight", {30, 30}, kF32, encode_tensor(weights.classifier, kF32));
  for (GgufWriter* part : {&first, &second}) {
    part->add("split.no", GgufType::u16, bytes_of(static_cast<std::uint16_t>(part == &second)));
    part->add("split.count", GgufType::u16, bytes_of(std::uint16_t{2}));
  }
  const std::string path = write("m-00001-of-00002.gguf", first);
  expect_error(run_program({"run", path, "-p", "a"}), 1, {"m-00002-of-00002.gguf", "No such file"});
  write("m-00002-of-00002.gguf", second);
  expect_out({"run", path, "-p", "a"}, alphabet_text(26));
  const ChildResult result = run_program({"inspect", path});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr(" bytes in 2 parts\n"));
  EXPECT_THAT(result.out, HasSubstr("12 tensors"));
}

TEST_F(Gguf, VerifiesAndBenches) {
  for (const std::uint32_t type : {kF32, kQ8_0, kF16}) {
    const std::string path =
        write("random.gguf", llama_gguf(random_weights(toy_config(64, 96, 2, 4, 2, 50, 300, true), 3), type));
    const ChildResult verify = run_program({"verify", path});
    expect_success(verify);
    EXPECT_THAT(verify.out, HasSubstr("packed weights that are not the file's: 0\n"));
    const ChildResult bench = run_program({"bench", path, "-p", "8", "-n", "8", "-r", "1", "--json"});
    expect_success(bench);
    EXPECT_FALSE(Json::parse(bench.out).empty());
  }
}

TEST_F(Gguf, ATokenizerThatDoesNotFitIsAnError) {
  GgufWriter more = llama_gguf(chain_model(alphabet_chain(), 100), kF32);
  std::vector<std::string> pieces = gguf_alphabet();
  pieces.emplace_back("more");
  add_llama_tokenizer(more, pieces);
  const std::string path = write("more.gguf", more);
  expect_error(run_program({"run", path, "-p", "a"}), 1,
               {path, "tokenizer.ggml.tokens: expected 30 (the rows of token_embd.weight), found 31"});
  const std::string none = write("none.gguf", llama_gguf(chain_model(alphabet_chain(), 100), kF32));
  expect_error(run_program({"run", none, "-p", "a"}), 1, {none, "tokenizer.ggml.model", "found none"});
}

}  // namespace
}  // namespace llamajit::test::gguf_test
