// llamajit tokenize.
#include "tests/support/program_fixture.h"
#include "tests/support/test_data.h"

namespace llamajit::test::tokenize_test {
namespace {

using ::testing::HasSubstr;

class Tokenize : public AlphabetTest {
 protected:
  std::string ids(std::vector<std::string> arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), {"tokenize", "--ids"});
    ChildOptions options;
    options.input = input;
    const ChildResult result = run_program(arguments, options);
    expect_success(result);
    EXPECT_EQ(result.err, "");
    return result.out;
  }
  std::string bytes_ = directory_.write("bytes.bin", tokenizer_file(byte_pieces()));
};

TEST_F(Tokenize, PrintsIdsOnOneLine) {
  EXPECT_EQ(ids({"-z", tokenizer_, "-p", "abz"}), "1 3 4 5 29\n");
  EXPECT_EQ(ids({"-z", tokenizer_, "-p", "abz", "--no-bos"}), "3 4 5 29\n");
  EXPECT_EQ(ids({"-z", tokenizer_, "-p", ""}), "1\n");
  EXPECT_EQ(ids({"-z", tokenizer_, "-p", "", "--no-bos"}), "\n");
}

TEST_F(Tokenize, FindsTheTokenizerBesideTheModel) {
  EXPECT_EQ(ids({model_, "-p", "b"}), "1 3 5\n");
  EXPECT_EQ(ids({model_, "-z", tokenizer_, "-p", "b"}), "1 3 5\n");
}

TEST_F(Tokenize, TakesStandardInputByteForByte) {
  using std::string_literals::operator""s;
  // Without a piece for " ", the space in front is its byte.
  EXPECT_EQ(ids({"-z", bytes_}, "a\0\xFF\x80\n"s), "1 35 100 3 258 131 13\n");
  EXPECT_EQ(ids({"-z", bytes_}, "\xED\x95"), "1 35 240 152\n") << "half a character";
  EXPECT_EQ(ids({"-z", bytes_, "-p", "한"}), "1 35 240 152 159\n");
}

TEST_F(Tokenize, ShowsATokenALine) {
  ChildOptions options;
  options.input = std::string("a\\\0\n", 4);
  const ChildResult result = run_program({"tokenize", "-z", bytes_}, options);
  expect_success(result);
  EXPECT_EQ(result.out,
            "     1  <s> (control)\n    35  ' ' (byte)\n   100  'a' (byte)\n    95  '\\\\' (byte)\n"
            "     3  '\\x00' (byte)\n    13  '\\x0A' (byte)\n");
}

// As run and chat do.
TEST_F(Tokenize, WithoutAModelTheBundledOneIsTaken) {
  const ChildResult result = run_program({"tokenize", "--ids", "-p", "Once upon a time"});
  expect_success(result);
  EXPECT_THAT(result.err, HasSubstr("no model named; using the bundled story model ("));
  EXPECT_EQ(result.out,
            ids({LLAMAJIT_SOURCE_DIR "/tools/story/models/story.gguf", "-p", "Once upon a time"}));
}

TEST_F(Tokenize, WantsAVocabulary) {
  expect_error(run_program({"tokenize", "-z", "missing.bin", "-p", "a"}), 1, {"missing.bin", "No such file"});
  expect_error(run_program({"tokenize", "missing.bin", "-p", "a"}), 1, {"missing.bin", "No such file"});
}

TEST_F(Tokenize, RealVocabulary) {
  const std::string tokenizer = test_data("tokenizer.bin");
  LLAMAJIT_REQUIRE_FILE(tokenizer);
  // karpathy/llama2.c test.c.
  EXPECT_EQ(ids({"-z", tokenizer, "-p", "I believe the meaning of life is"}),
            "1 306 4658 278 6593 310 2834 338\n");
}

}  // namespace
}  // namespace llamajit::test::tokenize_test
