// Completions, as the shells themselves give them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/support/program_fixture.h"

namespace llamajit::test::completion_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

bool has(const std::string& shell) {
  return run_child({"/bin/sh", "-c", "command -v " + shell}).exit_code == 0;
}

class Completion : public ::testing::Test {
 protected:
  std::string script(const std::string& shell) const {
    return directory_.write(shell, run_program({"completion", shell}).out);
  }
  // What bash completes the last word to, a candidate a line. The program is called by its path.
  std::string bash(const std::vector<std::string>& words) const {
    std::string quoted;
    for (const std::string& word : words) quoted += fmt::format(" '{}'", word);
    const ChildResult result = run_child(
        {"/usr/bin/env", "bash", "--norc", "-c",
         fmt::format(
             "llamajit() {{ '{}' \"$@\"; }}; source '{}'; cd '{}'; COMP_WORDS=(llamajit{}); "
             "COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _llamajit; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
             LLAMAJIT_PROGRAM, script("bash"), directory_.path(), quoted)});
    expect_success(result);
    EXPECT_EQ(result.err, "");
    return '\n' + result.out;
  }
  TempDirectory directory_;
  std::string model_ = directory_.write("my model.gguf", "GGUF");
};

TEST_F(Completion, Bash) {
  if (!has("bash")) GTEST_SKIP() << "there is no bash";
  EXPECT_THAT(bash({"ch"}), HasSubstr("\nchat\n"));
  EXPECT_THAT(bash({"sto"}), HasSubstr("\nstory\n")) << "a model that is bundled";
  EXPECT_THAT(bash({"--ver"}), HasSubstr("\n--version\n"));
  EXPECT_EQ(bash({"run", "--te"}), "\n--temp\n");
  EXPECT_THAT(bash({"verify", "--t"}), Not(HasSubstr("--temp")));
  EXPECT_EQ(bash({"run", "--kv-type", "q"}), "\nq8_0\n");
  EXPECT_EQ(bash({"run", "--kv-type", "=", "b"}), "\nbf16\n") << "bash splits at =";
  EXPECT_EQ(bash({"run", "--isa", "avx512v"}), "\navx512vnni\n");
  EXPECT_EQ(bash({"run", "-f", "my"}), "\nmy model.gguf\n");
  EXPECT_EQ(bash({"run", "--packed", "my"}), "\nmy model.gguf\n");
  EXPECT_EQ(bash({"run", "--pack-cache", "my"}), "\n\n") << "a file is no folder";
  EXPECT_EQ(bash({"run", "--pack-cache", "/us"}), "\n/usr\n");
  EXPECT_EQ(bash({"run", "my"}), "\nmy model.gguf\n");
  EXPECT_THAT(bash({"run", "story-"}), HasSubstr("\nstory-ternary\n"));
  EXPECT_EQ(bash({"run", "-n", ""}), "\n\n") << "a number is nobody else's to know";
  EXPECT_THAT(bash({"quantize", "in", "-t", "2", "out", "Q4_K"}), HasSubstr("\nQ4_K_M\n"));
  EXPECT_THAT(bash({"lesson", "do"}), HasSubstr("\ndot\n"));
  EXPECT_EQ(bash({"completion", "f"}), "\nfish\n");
  EXPECT_EQ(bash({"my.gguf", "--te"}), "\n--temp\n") << "a model in the place of a command is run";
}

TEST_F(Completion, Fish) {
  if (!has("fish")) GTEST_SKIP() << "there is no fish";
  const auto fish = [&](const std::string& line) {
    ChildOptions options;
    options.environment = {{"HOME", directory_.path()}};
    const ChildResult result =
        run_child({"/usr/bin/env", "fish", "--no-config", "-c",
                   fmt::format("function llamajit; {} $argv; end; source {}; complete -C '{}'",
                               LLAMAJIT_PROGRAM, script("fish"), line)},
                  options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return '\n' + result.out;
  };
  EXPECT_THAT(fish("llamajit ch"), HasSubstr("\nchat\t"));
  EXPECT_THAT(fish("llamajit run --te"), HasSubstr("\n--temp\t"));
  EXPECT_THAT(fish("llamajit verify --te"), Not(HasSubstr("--temp")));
  EXPECT_THAT(fish("llamajit run --kv-type q"), HasSubstr("\nq8_0"));
  EXPECT_THAT(fish("llamajit run story-"), HasSubstr("\nstory-ternary"));
  EXPECT_THAT(fish("llamajit quantize a b Q4_K_"), HasSubstr("\nQ4_K_M"));
}

// _arguments and its like are zsh's own and want a line editor; here they tell what they are given.
TEST_F(Completion, Zsh) {
  if (!has("zsh")) GTEST_SKIP() << "there is no zsh";
  const auto zsh = [&](const std::string& words) {
    const ChildResult result = run_child(
        {"/usr/bin/env", "zsh", "-f", "-c",
         fmt::format(
             "compdef() {{ : }}; _describe() {{ print -rl -- ${{(P)2}} }}; "
             "_arguments() {{ print -rl -- \"$@\" }}; _alternative() {{ print -rl -- \"$@\" $models }}; "
             "llamajit() {{ '{}' \"$@\" }}; source '{}'; words=(llamajit {}); CURRENT=$#words; _llamajit",
             LLAMAJIT_PROGRAM, script("zsh"), words)});
    EXPECT_EQ(result.err, "");
    return '\n' + result.out;
  };
  EXPECT_THAT(zsh("ch"), AllOf(HasSubstr("\nchat:"), HasSubstr("\nstory\n"), HasSubstr("\nstory-ternary\n")));
  EXPECT_THAT(zsh("--ver"), HasSubstr("\n--version:"));
  const std::string run = zsh("run --te");
  EXPECT_THAT(run, AllOf(HasSubstr("\n(--temp)--temp=[Temperature"),
                         HasSubstr(":value:(f32 f16 bf16 q8_0)\n"), HasSubstr(":MODEL:_llamajit_models\n")));
  EXPECT_THAT(zsh("verify --te"), Not(HasSubstr("--temp")));
  EXPECT_EQ(zsh("my.gguf --te"), run);
}

}  // namespace
}  // namespace llamajit::test::completion_test
