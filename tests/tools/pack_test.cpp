// llamajit pack, and starts from what it wrote.
#include <filesystem>
#include <fstream>

#include "tests/support/program_fixture.h"

namespace llamajit::test::pack_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PackTool : public AlphabetTest {
 protected:
  ChildResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"run", model_, "-z", tokenizer_, "-p", "ab"});
    const ChildResult result = run_program(std::move(arguments));
    expect_success(result);
    EXPECT_EQ(result.out, alphabet_text(26));
    return result;
  }
};

TEST_F(PackTool, WhatLiesBesideTheModelIsMapped) {
  EXPECT_THAT(run({}).err, HasSubstr("of weights packed in"));
  const ChildResult packed = run_program({"pack", model_});
  expect_success(packed);
  EXPECT_THAT(packed.out, AllOf(HasSubstr(model_ + ".packed: "), HasSubstr(" MiB\n")));
  EXPECT_THAT(run({}).err, HasSubstr("of weights mapped in"));
  EXPECT_THAT(run({"--packed", "none"}).err, HasSubstr("of weights packed in"));
}

TEST_F(PackTool, AFileOfAnotherModelIsPassedOverUnlessItWasNamed) {
  const std::string other = directory_.path() + "/other.packed";
  expect_success(run_program({"pack", "story", other}));
  std::filesystem::copy_file(other, model_ + ".packed");
  EXPECT_THAT(run({}).err, AllOf(HasSubstr("key: expected"), HasSubstr("it is passed over"),
                                 HasSubstr("of weights packed in")));
  expect_error(run_program({"run", model_, "-z", tokenizer_, "-p", "ab", "--packed", other}), 1,
               {other, "key: expected"});
}

TEST_F(PackTool, ACacheIsFilledOnceAndUsedThen) {
  const std::string cache = directory_.path() + "/cache/of/weights";
  const ChildResult first = run({"--pack-cache", cache});
  EXPECT_THAT(first.err, AllOf(HasSubstr("of weights packed in"), HasSubstr("for later starts")));
  EXPECT_THAT(run({"--pack-cache", cache}).err,
              AllOf(HasSubstr("of weights mapped in"), Not(HasSubstr("for later starts"))));
  EXPECT_THAT(run({"--pack-cache", "/proc/nothing"}).err, HasSubstr("--pack-cache: "));
}

TEST_F(PackTool, TellsWhyItCannotWrite) {
  expect_error(run_program({"pack", model_, "/proc/nothing/x"}), 1, {"/proc/nothing/x"});
  expect_error(run_program({"pack", directory_.path() + "/none.gguf"}), 1, {"none.gguf"});
  expect_error(run_program({"pack"}), 2, {"--model is required"});
}

}  // namespace
}  // namespace llamajit::test::pack_test
