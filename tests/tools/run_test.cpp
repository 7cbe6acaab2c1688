// llamajit run, as a user sees it.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/prctl.h>
#include <sys/resource.h>

#include "jit/base/isa.h"
#include "runtime/files/llama2c.h"
#include "tests/support/program_fixture.h"
#include "tests/support/test_data.h"
#include "tokenizer/utf8.h"
#include "tools/sandbox/sandbox.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

namespace llamajit::test::run_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// karpathy/llama2.c test_all.py, expected_stdout.
constexpr const char* kGreedy =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, "
    "she saw a big, red ball. She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, "
    "let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want to play with your "
    "ball, but I can't find it.\"\nLily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I "
    "didn't know what to do.\"\nLily didn't want to help her mom, so she";

// karpathy/llama2.c doc/stories260K.md.
constexpr const char* kSampled =
    "Once upon a time, there was a little boy named Timmy. Timmy loved to play with his toys and eat "
    "sandwiches. One day, Timmy's mom told him it was time to rest for a while. Timmy's friend Billy came "
    "over and took him a down.\nTimmy's mom saw that Timmy was sad, but Timmy said, \"I didn't understand "
    "what is it! We need to find some leafs.\" Timmy thought about it and took a deep breath on a spoon. He "
    "hoped it was important to be kind and continued to find its image next time.\nAfter they finished "
    "getting, Timmy's dad came up to his house and promised to help Timmy.";

class Stories : public ::testing::Test {
 protected:
  void SetUp() override {
    LLAMAJIT_REQUIRE_FILE(model_);
    LLAMAJIT_REQUIRE_FILE(tokenizer_);
  }
  // The same text on every tier, with one thread and with two.
  void expect_everywhere(const std::string& model, std::vector<std::string> options,
                         const std::string& text) const {
    options.insert(options.begin(), {"run", model, "-z", tokenizer_});
    for (const jit::Tier tier : jit::host_tiers()) {
      for (const char* threads : {"1", "2"}) {
        std::vector<std::string> arguments = options;
        arguments.insert(arguments.end(), {"--isa", std::string(to_string(tier)), "-t", threads});
        const ChildResult result = run_program(arguments);
        expect_success(result);
        EXPECT_EQ(result.out, text) << to_string(tier) << ", threads " << threads;
      }
    }
  }

  std::string model_ = test_data("stories260K.bin");
  std::string tokenizer_ = test_data("tok512.bin");
};

TEST_F(Stories, GreedyTextIsLlama2cs) {
  expect_everywhere(model_, {"--temp", "0", "-n", "200"}, kGreedy);
}

TEST_F(Stories, SampledTextIsLlama2cs) {
  expect_everywhere(model_, {"--temp", "1.0", "--top-p", "0.9", "--seed", "133742", "-n", "256"}, kSampled);
}

TEST_F(Stories, VersionOneOfTheSameWeightsGivesTheSameText) {
  const TempDirectory directory;
  const std::string v1 = directory.write("v1.bin", write_v1(weights_of(read_llama2c(model_))));
  expect_everywhere(v1, {"--temp", "0", "-n", "200"}, kGreedy);
}

TEST_F(Stories, VersionTwoGivesOneTextOnEveryTier) {
  const TempDirectory directory;
  const std::string v2 = directory.write("v2.bin", write_v2(weights_of(read_llama2c(model_)), 4));
  const ChildResult scalar =
      run_program({"run", v2, "-z", tokenizer_, "-n", "100", "--isa", "scalar", "-t", "1"});
  EXPECT_THAT(scalar.out, StartsWith("Once upon a time"));
  expect_everywhere(v2, {"-n", "100"}, scalar.out);
}

TEST_F(Stories, TellsWhatItDidOnStandardErrorOnly) {
  const ChildResult result = run_program({"run", model_, "-z", tokenizer_, "-n", "5", "-p", "One day"});
  EXPECT_THAT(result.out, StartsWith("One day"));
  EXPECT_THAT(result.out, Not(HasSubstr("tok/s")));
  for (const char* part :
       {"stories260K.bin", "8 heads (4 K/V)", "tok/s", "kernels", "emitted in", "stopped: token limit"}) {
    EXPECT_THAT(result.err, HasSubstr(part));
  }
}

class Run : public AlphabetTest {};

TEST_F(Run, PrintsThePromptAndWhatFollowsEachOnce) {
  expect_text({"-p", "abc"}, alphabet_text(26));
  expect_text({"-p", "abc", "-n", "3"}, "abcdef");
  expect_text({"-p", "abc", "-n", "1"}, "abcd");
  expect_text({"-p", "abc", "--no-echo", "-n", "3"}, "def");
}

TEST_F(Run, TakesThePromptFromEverywhere) {
  expect_text({"-n", "2"}, "xyz", "x");
  expect_text({"-f", directory_.write("prompt", "w"), "-n", "2"}, "wxy", "ignored");
  // The newline that ends a file or a line is not part of the prompt; only one is that.
  expect_text({"-f", directory_.write("line", "w\n"), "-n", "2"}, "wxy");
  expect_text({"-n", "2"}, "vwx", "v\n");
  expect_text({"-p", "v", "-n", "2"}, "vwx", "ignored");
  expect_text({"-n", "2", "--prompt=v"}, "vwx");
}

TEST_F(Run, AnEmptyPromptStartsFromNothing) {
  expect_text({"-p", "", "-n", "3"}, "abc");
  expect_text({"-n", "3"}, "abc", "");
}

TEST_F(Run, CountsBeyondThePrompt) {
  expect_text({"-p", "a", "-n", "0"}, "a");
  expect_text({"-p", "a", "-n", "-1"}, alphabet_text(26));
  // Begin, " " and "a" take 3 of 10 positions; the last position still tells what follows it.
  expect_text({"-p", "a", "-n", "-1", "-c", "10"}, alphabet_text(9));
}

TEST_F(Run, APromptMayBeginWithADash) {
  expect_text({"-p", "-n", "-n", "0"}, "-n");
  expect_text({"-p", "--help", "-n", "0"}, "--help");
}

TEST_F(Run, SaysWhyItStopped) {
  EXPECT_THAT(run({"-p", "a"}).err, HasSubstr("stopped: end-of-sequence token"));
  EXPECT_THAT(run({"-p", "a", "-n", "2"}).err, HasSubstr("stopped: token limit (-n)"));
  EXPECT_THAT(run({"-p", "a", "-c", "9"}).err, HasSubstr("stopped: end of the context"));
}

TEST_F(Run, APromptOfExactlyTheContextIsFine) {
  expect_text({"-p", "abc", "-c", "5"}, "abcd");
  expect_error(run({"-p", "abcd", "-c", "5"}), 1,
               {"prompt: expected at most 5 tokens (the context), found 6"});
}

TEST_F(Run, NamesATier) {
  for (const jit::Tier tier : jit::host_tiers()) {
    const std::string name(to_string(tier));
    EXPECT_THAT(run({"-p", "a", "--isa", name}).err, HasSubstr("tier " + name + " (asked for by --isa)"));
    ChildOptions options;
    options.environment = {{"LLAMAJIT_ISA", name}};
    const ChildResult result = run({"-p", "a"}, options);
    EXPECT_THAT(result.err, HasSubstr("tier " + name + " (asked for by LLAMAJIT_ISA)"));
    EXPECT_EQ(result.out, alphabet_text(26));
  }
}

TEST_F(Run, AFullDiskIsAnError) {
  ChildOptions options;
  options.output_path = "/dev/full";
  const ChildResult result = run({"-p", "a"}, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("standard output: No space left on device"));
}

TEST_F(Run, RunsWhereMemoryCannotBecomeExecutable) {
  ChildOptions options;
  options.before_exec = [] { return prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0; };
  const ChildResult result = run({"-p", "a"}, options);
  if (result.exit_code == kRefused) GTEST_SKIP() << "this kernel has no PR_SET_MDWE";
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(26));
}

// A child that may not write files of more bytes.
template <rlim_t kBytes>
ChildOptions with_files_up_to() {
  ChildOptions options;
  options.before_exec = [] {
    const rlimit limit{kBytes, kBytes};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
  };
  return options;
}

TEST_F(Run, RunsUnderALimitOnTheSizeOfFiles) {
  const ChildResult result = run({"-p", "a"}, with_files_up_to<0>());
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(26));
}

TEST_F(Run, AFileThatALimitCutsOffIsAnError) {
  const std::string out = directory_.path() + "/out.gguf";
  const std::string text =
      directory_.write("text", alphabet_text(26) + alphabet_text(26) + alphabet_text(26));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"convert", model_, out},
                                                  {"quantize", model_, out, "F16"},
                                                  {"pack", model_, out},
                                                  {"perplexity", model_, "-f", text, "--save-logits", out}}) {
    const ChildResult result = run_program(command, with_files_up_to<1000>());
    EXPECT_EQ(result.exit_code, 1) << command.front();
    EXPECT_THAT(result.err, HasSubstr(out + ": File too large")) << command.front();
    EXPECT_FALSE(std::filesystem::exists(out)) << command.front();
  }
}

TEST_F(Run, MoreThreadsThanCpusAreWarnedOf) {
  const std::string threads = std::to_string(std::thread::hardware_concurrency() + 1);
  const ChildResult result = run({"-p", "a", "-t", threads});
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(26));
  EXPECT_THAT(result.err, HasSubstr("-t " + threads + ": this process has "));
  EXPECT_THAT(run({"-p", "a", "-t", "1"}).err, Not(HasSubstr("this process has")));
}

class EndlessRun : public ::testing::Test {
 protected:
  std::vector<std::string> command() const { return {LLAMAJIT_PROGRAM, "run", model_, "-p", "a"}; }

  TempDirectory directory_;
  std::string model_ = directory_.write("model.bin", write_v1(chain_model(endless_chain(), 1 << 20)));
  std::string tokenizer_ = directory_.write("tokenizer.bin", tokenizer_file(alphabet()));
};

void expect_interrupted(const ChildResult& result) {
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("stopped: interrupted"));
  EXPECT_EQ(result.out, alphabet_text(result.out.size())) << "what was generated stays";
}

TEST_F(EndlessRun, CtrlCEndsItCleanly) {
  Child child(command(), {});
  child.read_out(50);
  kill(child.pid(), SIGINT);
  expect_interrupted(child.finish());
}

// As shells start what is to run in the background, and nohup.
TEST_F(EndlessRun, ASignalThatIsIgnoredStaysSo) {
  ChildOptions options;
  options.before_exec = [] { return std::signal(SIGINT, SIG_IGN) != SIG_ERR; };
  Child child(command(), options);
  child.read_out(50);
  kill(child.pid(), SIGINT);
  child.read_out(5000);
  kill(child.pid(), SIGTERM);
  const ChildResult result = child.finish();
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_THAT(result.err, Not(HasSubstr("interrupted")));
}

// What /proc says of each thread.
std::vector<std::string> seccomp_modes(pid_t process) {
  std::vector<std::string> modes;
  for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process))) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Seccomp:")) modes.push_back(line.substr(line.find_last_of("\t ") + 1));
    }
  }
  return modes;
}

TEST_F(EndlessRun, IsSandboxedUnlessAskedNotToBe) {
  for (const bool sandboxed : {true, false}) {
    std::vector<std::string> words = command();
    words.insert(words.end(), {"-t", "2", "-v"});
    if (!sandboxed) words.emplace_back("--no-sandbox");
    Child child(words, {});
    child.read_out(50);
    const std::vector<std::string> modes = seccomp_modes(child.pid());
    kill(child.pid(), SIGINT);
    const ChildResult result = child.finish();
    expect_interrupted(result);
    EXPECT_EQ(modes.size(), 2U);
    if (!sandboxed) {
      EXPECT_THAT(result.err, HasSubstr("no sandbox: --no-sandbox"));
      EXPECT_THAT(modes, ::testing::Each("0"));
    } else if (*sandbox::reason_against() != '\0') {
      EXPECT_THAT(result.err, HasSubstr("no sandbox: this build has sanitizers"));
    } else if (result.err.find("not held") == std::string::npos) {
      EXPECT_THAT(result.err, HasSubstr("system calls (seccomp)"));
      EXPECT_THAT(modes, ::testing::Each("2"));
    }
  }
}

TEST_F(EndlessRun, CtrlCWhileTheReaderIsSlowEndsItCleanlyToo) {
  ChildOptions options;
  options.packets = true;  // a few hundred writes fill the socket
  Child child(command(), options);
  child.read_out(1);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  kill(child.pid(), SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the signal meets the write that waits
  expect_interrupted(child.finish());
}

TEST_F(EndlessRun, AReaderThatLeftIsNoErrorToTell) {
  Child child(command(), {});
  child.read_out(5);
  child.close_out();
  const ChildResult result = child.finish();
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, ::testing::Not(HasSubstr("standard output")));
}

class Hangul : public ::testing::Test {
 protected:
  Hangul() {
    directory_.write("tokenizer.bin", tokenizer_file(byte_pieces()));
    model_ = directory_.write("model.bin", write_v1(chain_model(byte_chain("한글"), 100)));
  }
  TempDirectory directory_;
  std::string model_;
};

TEST_F(Hangul, EveryWriteIsWholeCharacters) {
  ChildOptions options;
  options.packets = true;
  const ChildResult result = run_program({"run", model_, "-p", "한", "-n", "9"}, options);
  expect_success(result);
  EXPECT_EQ(result.out, "한글한글");
  for (const std::string& written : result.writes) {
    std::string_view rest = written;
    while (!rest.empty()) {
      const std::size_t n = utf8_length(rest);
      EXPECT_EQ(n, 3U) << "a split character";
      rest.remove_prefix(n);
    }
  }
}

TEST_F(Hangul, WhatIsCutOffAtTheEndIsNotLost) {
  EXPECT_EQ(run_program({"run", model_, "-p", "", "-n", "4"}).out, "한\xEA");
}

}  // namespace
}  // namespace llamajit::test::run_test
