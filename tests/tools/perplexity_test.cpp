// llamajit perplexity.
#include <filesystem>

#include "tests/support/program_fixture.h"

namespace llamajit::test::perplexity_test {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Perplexity : public AlphabetTest {
 protected:
  ChildResult measure(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"perplexity", model_, "-f", text_, "-t", "1"});
    return run_program(std::move(arguments), {});
  }
  std::string text_ = directory_.write("text", alphabet_text(150));
};

TEST_F(Perplexity, IsPrintedWithItsError) {
  const ChildResult result = measure({});
  expect_success(result);
  EXPECT_THAT(result.out,
              MatchesRegex("perplexity [0-9.]+ ± [0-9.e-]+ \\([0-9]+ predictions, windows of 100, "
                           "stride 50\\)\n"));
  // The vocabulary has 30 tokens; the model knows the alphabet.
  EXPECT_LT(std::stod(result.out.substr(11)), 30);
  EXPECT_THAT(measure({"--ctx", "20", "--stride", "20"}).out, HasSubstr("windows of 20, stride 20)"));
}

TEST_F(Perplexity, KlWithItselfIsNothing) {
  const std::string logits = directory_.path() + "/logits";
  const ChildResult saved = measure({"--save-logits", logits});
  expect_success(saved);
  const ChildResult same = measure({"--kl-base", logits});
  expect_success(same);
  EXPECT_THAT(same.out, HasSubstr(saved.out + "mean KL divergence 0 ± 0\nsame most likely token 100.000 % ± "
                                              "0.000 %\n"));
  // Keys and values that are rounded coarsely give other logits.
  const ChildResult other = measure({"--kl-base", logits, "--kv-type", "q8_0"});
  expect_success(other);
  EXPECT_THAT(other.out, HasSubstr("mean KL divergence "));
  expect_error(measure({"--kl-base", logits, "--ctx", "64"}), 1, {logits, "context: expected 64, found 100"});
}

TEST_F(Perplexity, SaysWhatIsWrong) {
  expect_error(measure({"--stride", "101"}), 2, {"--stride: expected at most 100"});
  expect_error(measure({"--kl-base", directory_.path() + "/none"}), 1, {"none", "No such file"});
  const std::string empty = directory_.write("empty", "");
  expect_error(run_program({"perplexity", model_, "-f", empty}, {}), 1,
               {empty, "expected a text of 2 tokens or more, found 1"});
  expect_error(run_program({"perplexity", model_}, {}), 2, {"--file"});
  const std::string unwritten = directory_.path() + "/unwritten";
  expect_error(measure({"--save-logits", unwritten, "--stride", "101"}), 2, {"--stride"});
  EXPECT_FALSE(std::filesystem::exists(unwritten));
}

}  // namespace
}  // namespace llamajit::test::perplexity_test
