// llamajit imatrix, and quantize --imatrix.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/files/gguf.h"
#include "runtime/files/importance_matrix.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/program_fixture.h"

namespace llamajit::test::imatrix_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Imatrix : public AlphabetTest {
 protected:
  std::string at(const std::string& name) const { return directory_.path() + "/" + name; }
  ChildResult measure(const std::string& out, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"imatrix", toy_, "-f", text_, "-o", out, "-c", "20"});
    return run_program(std::move(arguments), {});
  }
  ChildResult quantize(const std::string& out, std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"quantize", toy_, out, "Q4_0"});
    return run_program(std::move(arguments), {});
  }
  // Its rows are whole blocks.
  std::string toy_ = directory_.write(
      "toy.bin", write_v0(random_weights(toy_config(64, 128, 2, 4, 2, kAlphabetSize, 64, false), 2)));
  std::string text_ = directory_.write("text", alphabet_text(150));
};

TEST_F(Imatrix, IsTheSameOnEveryTierAndThread) {
  const ChildResult result = measure(at("a.gguf"), {"-t", "1"});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("a.gguf: 14 tensors of "));
  EXPECT_EQ(result.err, "");
  expect_success(measure(at("b.gguf"), {"-t", "3", "--isa", "scalar"}));
  EXPECT_EQ(content_of(at("a.gguf")), content_of(at("b.gguf")));
  const ImportanceMatrix matrix = read_importance_matrix(at("a.gguf"));
  EXPECT_EQ(matrix.chunk_size, 20);
  EXPECT_EQ(matrix.datasets, std::vector<std::string>{text_});
  EXPECT_EQ(matrix.entries.at("blk.0.attn_q.weight").counts, std::vector<std::int64_t>{20 * matrix.chunks});
}

TEST_F(Imatrix, TakesSomeChunksAndTheClassifier) {
  expect_success(measure(at("a.gguf"), {"--chunks", "2", "--process-output"}));
  const ImportanceMatrix matrix = read_importance_matrix(at("a.gguf"));
  EXPECT_EQ(matrix.chunks, 2);
  EXPECT_EQ(matrix.entries.size(), 15);
  EXPECT_EQ(matrix.entries.count("output.weight"), 1);
  // A text shorter than a chunk is one.
  const std::string line = directory_.write("line", "abc");
  expect_success(run_program({"imatrix", toy_, "-f", line, "-o", at("b.gguf")}, {}));
  EXPECT_EQ(read_importance_matrix(at("b.gguf")).entries.at("blk.0.attn_q.weight").counts,
            std::vector<std::int64_t>{5});
}

TEST_F(Imatrix, AddsToFilesOfBothForms) {
  expect_success(measure(at("a.dat")));
  EXPECT_NE(content_of(at("a.dat")).substr(0, 4), "GGUF");
  expect_success(measure(at("b.any"), {"--output-format", "gguf", "--in-file", at("a.dat")}));
  const ImportanceMatrix one = read_importance_matrix(at("a.dat")), two = read_importance_matrix(at("b.any"));
  EXPECT_EQ(two.chunks, 2 * one.chunks);
  const float half = one.entries.at("blk.1.ffn_down.weight").sums.front() * 20;
  EXPECT_NEAR(two.entries.at("blk.1.ffn_down.weight").sums.front(), 2 * half, 1e-5 * half);
  // Without a text, too.
  expect_success(run_program(
      {"imatrix", toy_, "--in-file", at("a.dat"), "--in-file", at("b.any"), "-c", "20", "-o", at("c.dat")},
      {}));
  EXPECT_EQ(read_importance_matrix(at("c.dat")).chunks, 3 * one.chunks);
}

TEST_F(Imatrix, IsWhatQuantizeTakes) {
  expect_success(measure(at("a.gguf")));
  const ChildResult result = quantize(at("q.gguf"), {"--imatrix", at("a.gguf")});
  expect_success(result);
  EXPECT_THAT(result.out, HasSubstr("relative    imatrix\n"));
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(GgufFile(at("q.gguf")).string("quantize.imatrix.file"), at("a.gguf"));
  const ChildResult without = quantize(at("q.gguf"));
  EXPECT_THAT(without.out, Not(HasSubstr("imatrix")));
}

TEST_F(Imatrix, QuantizeSaysWhatHasNone) {
  ImportanceMatrix matrix;
  expect_success(measure(at("a.gguf")));
  matrix = read_importance_matrix(at("a.gguf"));
  matrix.entries.erase("blk.0.attn_q.weight");
  matrix.entries.erase("blk.1.ffn_up.weight");
  write_importance_matrix(matrix, at("b.gguf"), ImportanceForm::gguf);
  const ChildResult result = quantize(at("q.gguf"), {"--imatrix", at("b.gguf")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr(at("b.gguf")), HasSubstr("none of 2 tensors"),
                                HasSubstr("blk.0.attn_q.weight, blk.1.ffn_up.weight\n")));
  expect_error(quantize(at("r.gguf"), {"--imatrix", text_}), 1, {text_, "n_entries"});
  EXPECT_FALSE(std::filesystem::exists(at("r.gguf")));
}

TEST_F(Imatrix, SaysWhatIsWrong) {
  expect_error(run_program({"imatrix", toy_}, {}), 2, {"--file", "--in-file"});
  expect_error(measure(at("a.gguf"), {"--output-format", "csv"}), 2, {"--output-format", "csv"});
  expect_error(measure(at("a.gguf"), {"--in-file", at("none")}), 1, {"none", "No such file"});
  const std::string empty = directory_.write("empty", "");
  expect_error(run_program({"imatrix", toy_, "-f", empty, "-o", at("a.gguf")}, {}), 1,
               {empty, "expected a text of 2 tokens or more, found 1"});
  expect_error(measure("/nowhere/a.gguf", {}), 1, {"/nowhere/a.gguf"});
  for (const std::string& read : {toy_, text_}) {
    const std::string before = content_of(read);
    expect_error(measure(read), 1, {read, "expected another file than what is read"});
    EXPECT_EQ(content_of(read), before);
  }
  EXPECT_FALSE(std::filesystem::exists(at("a.gguf")));
}

}  // namespace
}  // namespace llamajit::test::imatrix_test
