// The tests of the program share these: small models in a directory, and how results must look.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock-matchers.h>
#include <gtest/gtest.h>

#include "tests/support/subprocess.h"
#include "tests/support/toy_model.h"

namespace llamajit::test {

// "abc" up to `letters` letters; after "z" follows "a".
inline std::string alphabet_text(std::size_t letters) {
  std::string text;
  for (std::size_t i = 0; i < letters; ++i) text += static_cast<char>('a' + i % 26);
  return text;
}

inline void expect_success(const ChildResult& result) {
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

// One line on standard error that holds all of `parts`, nothing on standard output.
inline void expect_error(const ChildResult& result, int exit_code, const std::vector<std::string>& parts) {
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, exit_code);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, ::testing::StartsWith("llamajit: "));
  for (const std::string& part : parts) EXPECT_THAT(result.err, ::testing::HasSubstr(part));
}

// A directory with model.bin that says the alphabet, and its tokenizer.bin.
class AlphabetTest : public ::testing::Test {
 protected:
  explicit AlphabetTest(int context = 100)
      : model_(directory_.write("model.bin", write_v0(chain_model(alphabet_chain(), context)))),
        tokenizer_(directory_.write("tokenizer.bin", tokenizer_file(alphabet()))) {}

  ChildResult run(std::vector<std::string> arguments, const ChildOptions& options = {}) const {
    arguments.insert(arguments.begin(), {"run", model_});
    return run_program(std::move(arguments), options);
  }
  // Text that must come out, for a prompt.
  void expect_text(const std::vector<std::string>& arguments, const std::string& text,
                   const std::string& input = "") const {
    ChildOptions options;
    options.input = input;
    const ChildResult result = run(arguments, options);
    expect_success(result);
    EXPECT_EQ(result.out, text);
  }

  TempDirectory directory_;
  std::string model_;
  std::string tokenizer_;
};

// After "z" comes "a" again, so that the text never ends by itself.
inline std::vector<std::int32_t> endless_chain() {
  std::vector<std::int32_t> next = alphabet_chain();
  next[kAlphabetSize - 1] = 4;
  return next;
}

// The vocabulary of bytes alone, and a model over it that says a text of distinct bytes again and again.
inline std::vector<std::string> byte_pieces() {
  std::vector<std::string> pieces{"<unk>", "<s>", "</s>"};
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (unsigned b = 0; b < 256; ++b) pieces.push_back({'<', '0', 'x', kDigits[b >> 4], kDigits[b & 15], '>'});
  return pieces;
}
inline std::vector<std::int32_t> byte_chain(const std::string& text) {
  const auto id = [&](std::size_t i) {
    return 3 + static_cast<std::int32_t>(static_cast<unsigned char>(text[i % text.size()]));
  };
  std::vector<std::int32_t> next(259, id(0));
  for (std::size_t i = 0; i < text.size(); ++i) next[static_cast<std::size_t>(id(i))] = id(i + 1);
  return next;
}

}  // namespace llamajit::test
