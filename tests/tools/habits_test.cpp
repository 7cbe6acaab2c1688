// What people type from habit, and what they name: options of llama.cpp, models without a command, prompts
// without -p.
#include <filesystem>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/program_fixture.h"
#include "tests/support/pseudo_terminal.h"
#include "tools/common/generation_options.h"
#include "tools/common/printable.h"

namespace llamajit::test::habits_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Habits : public AlphabetTest {
 protected:
  // The alphabet comes in spite of these options, and a line on standard error says why they are not needed.
  void expect_unneeded(std::vector<std::string> options, const std::string& name,
                       const std::string& why) const {
    options.insert(options.end(), {"-p", "a"});
    const ChildResult result = run(options);
    expect_success(result);
    EXPECT_EQ(result.out, alphabet_text(26));
    EXPECT_THAT(result.err, HasSubstr("llamajit: " + name + " is not needed: ")) << name;
    EXPECT_THAT(result.err, HasSubstr(why)) << name;
  }
};

TEST_F(Habits, WhatIsNotNeededIsSaidAndTheRunGoesOn) {
  expect_unneeded({"-ngl", "99"}, "-ngl", "no GPU");
  expect_unneeded({"-ngl=99"}, "-ngl", "no GPU");
  expect_unneeded({"--n-gpu-layers", "all"}, "--n-gpu-layers", "no GPU");
  expect_unneeded({"-fa"}, "-fa", "attention");
  expect_unneeded({"-fa", "on"}, "-fa", "attention");
  expect_unneeded({"--no-mmap"}, "--no-mmap", "packed");
  expect_unneeded({"--no-warmup"}, "--no-warmup", "no run before");
  expect_unneeded({"-st"}, "-st", "llamajit chat");
  expect_unneeded({"-no-cnv"}, "-no-cnv", "llamajit chat");
  expect_unneeded({"-tb", "8", "-ub", "64"}, "-ub", "-b");
  expect_unneeded({"--numa", "distribute"}, "--numa", "numactl");
  expect_unneeded({"--log-file", "log"}, "--log-file", "2>FILE");
  const ChildResult bench =
      run_program({"bench", model_, "-ngl", "99", "-fa", "1", "-p", "4", "-n", "2", "-r", "1"});
  expect_success(bench);
  EXPECT_THAT(bench.err, AllOf(HasSubstr("-ngl is not needed"), HasSubstr("-fa is not needed")));
}

TEST_F(Habits, WhatMeansSomethingHereIsTaken) {
  for (const std::string name : {"-ctk", "-ctv", "--cache-type-k", "--kv-type"}) {
    expect_error(run({"-p", "a", name, "q8"}), 2,
                 {"llamajit: " + name + ": expected one of f32, f16, bf16, q8_0"});
    expect_text({"-p", "a", name, "bf16"}, alphabet_text(26));
  }
  expect_text({"-p", "a", "-ctk", "f16", "-ctv", "f16"}, alphabet_text(26));
  expect_error(run({"-p", "a", "-ctk", "f16", "-ctv", "f32"}), 2, {"-ctv: expected f16", "found f32"});
  expect_text({"-p", "a", "--temperature", "0"}, alphabet_text(26));
  expect_text({"-p", "a", "--no-display-prompt"}, alphabet_text(26).substr(1));
  for (const char* name : {"-q", "--quiet", "--log-disable"}) {
    const ChildResult result = run({"-p", "a", "-ngl", "9", name});
    expect_success(result);
    EXPECT_EQ(result.out, alphabet_text(26));
    EXPECT_EQ(result.err, "") << name;
  }
  ChildOptions options;
  options.input = "a\n";
  const ChildResult chat = run_program({"run", model_, "-cnv", "--color"}, options);
  EXPECT_THAT(chat.err, HasSubstr("conversation: ")) << "a chat: " << chat.out;
}

TEST_F(Habits, WhatWouldChangeTheTextIsRefused) {
  expect_error(run_program({"-hf", "ggml-org/tiny"}), 2,
               {"-hf: models are not downloaded", "llamajit run --help"});
  expect_error(run_program({"run", "-hf", "ggml-org/tiny"}), 2, {"-hf: models are not downloaded"});
  expect_error(run_program({"chat", "--hf-repo=ggml-org/tiny"}), 2, {"--hf-repo: models are not downloaded"});
  expect_error(run({"-p", "a", "--mirostat", "2"}), 2, {"--mirostat: draws are made by --temp"});
  expect_error(run({"-p", "a", "-j", "{}"}), 2, {"-j", "--json-schema FILE"});
  expect_error(run({"-p", "a", "--lora", "x.gguf"}), 2, {"--lora", "merge"});
}

TEST_F(Habits, NearMissesAreSuggested) {
  expect_error(run({"--tmep", "0"}), 2,
               {"run has no option '--tmep'; did you mean '--temp'?", "llamajit run --help"});
  expect_error(run({"-temp", "0"}), 2, {"'-temp'; did you mean '--temp'?"});
  expect_error(run({"--temprature", "0"}), 2, {"'--temprature'; did you mean '--temperature'?"});
  expect_error(run({"--ctx", "5"}), 2,
               {"it is one of perplexity, imatrix, quantize; did you mean '--ctx-size'?"});
  expect_error(run({"--kl-base", "x"}), 2, {"run has no option '--kl-base'; it is one of perplexity"});
  expect_error(run_program({"chta"}), 2,
               {"expected a command or a model, found 'chta'; did you mean 'chat'?"});
  expect_error(run_program({"stroy"}), 2, {"did you mean 'story'?"});
  expect_error(run_program({"run", "stroy", "a"}), 1, {"stroy: No such file", "did you mean 'story'?"});
  expect_error(run_program({"run", "Once upon"}), 1, {"a prompt goes behind a model, or behind -p"});
  expect_error(run_program({"quantize", model_, "out", "Q4_K_X"}), 2,
               {"TYPE: expected one of", "did you mean 'Q4_K_"});
  expect_error(run_program({"lesson", "dto"}), 2, {"did you mean 'dot'?"});
  expect_error(run_program({"run", "storie", "a"}), 1, {"storie: No such file", "did you mean 'story'?"});
  expect_error(run_program({"--versio"}), 2, {"'--versio'; did you mean '--version'?"});
  EXPECT_EQ(run({"--versio"}).err.find("--version'"), std::string::npos) << "run has none";
}

TEST_F(Habits, OptionsOfOtherCommandsAreNamedWithOneDashToo) {
  for (const std::string name : {"-sys", "-system", "--system", "-session", "-tools", "-template"}) {
    expect_error(run({"-p", "a", name, "x"}), 2, {"run has no option '" + name + "'; it is one of chat"});
  }
  expect_error(run_program({"chat", model_, "--no-display-prompt"}), 2,
               {"chat has no option '--no-display-prompt'; it is one of run"});
  expect_text({"-p", "a", "-n3"}, alphabet_text(4));  // a letter with its value is still one
}

TEST_F(Habits, MessagesNameTheOptionThatWasTyped) {
  for (const std::string name : {"--template", "--chat-template"}) {
    expect_error(run_program({"chat", model_, name, "nosuch"}), 2,
                 {"llamajit: " + name + ": expected a file"});
  }
  for (const std::string name : {"--ctx-size", "--ctx_size"}) {
    expect_error(run({name + "=nv"}), 2, {"llamajit: " + name + ": expected a whole number"});
  }
  expect_error(run({"--temperature", "x"}), 2, {"llamajit: --temperature: expected a number"});
  for (const std::string name : {"--repeat-penalty", "--repeat_penalty"}) {
    for (const char* value : {"0", "-1", "1e-60", "x"}) {
      expect_error(run({"-p", "a", name, value}), 2,
                   {name + ": expected a number above 0, up to", fmt::format("found '{}'", value)});
    }
  }
}

TEST_F(Habits, WordsThatAreLeftOverAreNamedInTheirOrder) {
  expect_error(run({"one", "two", "three"}), 2, {"run: expected 2 words at most, found 'two' more"});
  expect_error(run_program({"models", "one", "two"}), 2,
               {"models: expected options alone, found 'one' more"});
  expect_error(run({"-p"}), 2, {"-p: expected a value behind it, found nothing"});
  expect_error(run({"-n", "1", "--n-predict", "2"}), 2, {"--n-predict: expected once, found again"});
}

TEST_F(Habits, NumbersSayTheirRange) {
  expect_error(
      run({"-n", "-5"}), 2,
      {"--n-predict: expected a whole number, -2 (-1 and -2: to the context's end) or more, found '-5'"});
  expect_error(run({"-c", "nv"}), 2, {"--ctx-size: expected a whole number, 0 or more, found 'nv'"});
  expect_error(run({"-t", "0"}), 2, {"--threads: expected a whole number, 1 to 1024, found '0'"});
  expect_error(run({"-n", "99999999999"}), 2,
               {"--n-predict: expected a number up to 2147483647, found '99999999999'"});
  expect_error(run({"--top-p", "1.5"}), 2, {"--top-p: expected a number, 0 to 1, found '1.5'"});
  expect_text({"-p", "a", "-c", "0", "-n", "-2"}, alphabet_text(26));
  expect_text({"-p", "a", "-n", "010"}, alphabet_text(11));
  EXPECT_THAT(run_program({"run", "--help"}).out, HasSubstr("1 or 0: off"));
}

TEST_F(Habits, AModelNeedsNoCommandAndAPromptNoName) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{model_, "ab"},
                                                    {"run", model_, "ab"},
                                                    {"-m", model_, "-p", "ab"},
                                                    {"run", "-m", model_, "ab"},
                                                    {"-t", "2", model_, "ab"},
                                                    {model_, "--", "ab"},
                                                    {model_, "--prompt=ab"},
                                                    {model_, "-qpab"}}) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const ChildResult result = run_program(arguments);
    expect_success(result);
    EXPECT_EQ(result.out, alphabet_text(26));
  }
  // A prompt may be called as a command is, and begin as an option does.
  EXPECT_EQ(run_program({"run", model_, "chat", "-n", "0"}).out, "chat");
  EXPECT_EQ(run_program({"run", model_, "-n", "0", "--", "-v"}).out, "-v");
  EXPECT_EQ(run_program({"run", model_, "--prompt=", "-n", "1"}).out, "a");
}

TEST_F(Habits, BundledModelsHaveNames) {
  const TempDirectory alone;
  ChildOptions options;
  options.directory = alone.path();
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"story-ternary", "Once", "-n", "3"},
        {"run", "story-ternary.gguf", "Once", "-n", "3"},
        {"tokenize", "story-ternary", "-p", "Once"},
        {"inspect", "story-ternary"}}) {
    const ChildResult result = run_program(arguments, options);
    expect_success(result);
    EXPECT_NE(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("using the bundled model story-ternary"));
  }
  alone.write("story", "a file of the name goes first");
  expect_error(run_program({"run", "story", "Once"}, options), 1, {"story: content: expected a model"});
  EXPECT_THAT(run_program({"models", "--names"}, options).out, HasSubstr("story\nstory-ternary\n"));
}

TEST_F(Habits, ATerminalIsToldWhatIsWaitedFor) {
  PseudoTerminal run_it({"run", model_}, {});
  EXPECT_TRUE(run_it.wait_for("type the prompt here; Ctrl-D on a line of its own ends it"))
      << run_it.screen();
  run_it.type("ab\r\x04");
  EXPECT_TRUE(run_it.wait_for(alphabet_text(26))) << run_it.screen();
  EXPECT_EQ(run_it.finish(), 0);
  PseudoTerminal tokens({"tokenize", model_}, {});
  EXPECT_TRUE(tokens.wait_for("type the text here")) << tokens.screen();
  tokens.type("\x04");
  EXPECT_EQ(tokens.finish(), 0);
}

TEST_F(Habits, EscapesAreReadWhereTheyAreAskedFor) {
  expect_text({"-p", "a\\n", "-n", "0"}, "a\\n");
  expect_text({"-p", "a\\n\\x62\\q", "-n", "0", "-e"}, "a\nb\\q");
  expect_text({"-p", "a", "-e", "-r", "\\x65"}, "abcd");
  EXPECT_EQ(cli::with_escapes("\\t\\r\\'\\\"\\\\\\x4g\\x4"), "\t\r'\"\\\\x4g\\x4");
  EXPECT_EQ(cli::with_escapes("\\"), "\\");
}

TEST_F(Habits, LockedMemoryIsTriedAndTheReasonTold) {
  ChildOptions options;
  options.before_exec = [] {
    const rlimit none{0, 0};
    return setrlimit(RLIMIT_MEMLOCK, &none) == 0;
  };
  const ChildResult result = run({"-p", "a", "--mlock"}, options);
  expect_success(result);
  EXPECT_EQ(result.out, alphabet_text(26));
  if (geteuid() != 0) {
    EXPECT_THAT(result.err, HasSubstr("--mlock: "));
  } else {
    EXPECT_THAT(result.err, Not(HasSubstr("--mlock")));
  }
}

TEST_F(Habits, SeedsAreToldAndMakeTheTextAgain) {
  const std::vector<std::string> draw = {"-p", "a", "--temp", "5", "-n", "20"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), draw.begin(), draw.end());
    return run(more);
  };
  const auto seed_of = [](const ChildResult& result) {
    expect_success(result);
    const std::size_t at = result.err.find("llamajit: seed ");
    EXPECT_NE(at, std::string::npos) << result.err;
    return at == std::string::npos ? "" : result.err.substr(at + 15, result.err.find('\n', at) - at - 15);
  };
  for (const std::vector<std::string>& clock :
       {std::vector<std::string>{}, {"-s", "-1"}, {"--seed", "-99999999999999999999"}}) {
    const ChildResult drawn = with(clock);
    EXPECT_GT(seed_of(drawn).size(), 15U) << "the clock's";
    EXPECT_EQ(with({"-s", seed_of(drawn)}).out, drawn.out);
    EXPECT_NE(seed_of(with(clock)), seed_of(drawn));
  }
  EXPECT_EQ(seed_of(with({"-s", "7"})), "7");
  expect_success(with({"-s", "18446744073709551615"}));
  EXPECT_THAT(run({"-p", "a"}).err, Not(HasSubstr("seed"))) << "nothing is drawn";
}

TEST_F(Habits, MessagesAreLinesWhateverNamesHold) {
  const std::string name = "a\nb\x1B[31m\xC2\x9B\xFF.bin";
  const std::string shown = "a\\x0Ab\\x1B[31m\\xC2\\x9B\\xFF.bin";
  const std::string bad = directory_.write(name, "no model at all");
  for (const char* command : {"run", "inspect", "verify", "tokenize", "bench", "kernels", "chat"}) {
    expect_error(run_program({command, bad, "-q"}), 1, {shown});
  }
  expect_error(run({"-z", bad, "-p", "a"}), 1, {shown});
  expect_error(run({"-f", bad + "x"}), 1, {shown});
  expect_error(run({"--" + name}), 2, {"--a\\x0Ab"});
  expect_error(run_program({name}), 1, {shown.substr(0, 5)});
  // Names in results.
  const std::string model = directory_.write("m\x1B\n.bin", write_v0(chain_model(alphabet_chain(), 100)));
  const auto expect_shown = [&](const std::vector<std::string>& arguments) {
    const ChildResult result = run_program(arguments);
    expect_success(result);
    EXPECT_THAT(result.out + result.err, AllOf(HasSubstr("m\\x1B\\x0A.bin"), Not(HasSubstr("\x1B"))));
  };
  expect_shown({"inspect", model});
  expect_shown({"kernels", model});
  expect_shown({"bench", model, "-p", "2", "-n", "2", "-r", "1"});
  expect_shown({"run", model, "-p", "a"});
}

TEST(Printable, KeepsTextAndNothingElse) {
  EXPECT_EQ(cli::printable("/home/한글/モデル é.gguf"), "/home/한글/モデル é.gguf");
  EXPECT_EQ(cli::printable("a\\b"), "a\\b");
  EXPECT_EQ(cli::printable("\x7F\t\xE2\x80\xAE\xE2\x81\xA6\xED\xA0\x80"),
            "\\x7F\\x09\\xE2\\x80\\xAE\\xE2\\x81\\xA6\\xED\\xA0\\x80");
}

class QuantizeTokenizer : public AlphabetTest {};

TEST_F(QuantizeTokenizer, IsTheOneBesideTheModelOrMissedAloud) {
  const std::string out = directory_.path() + "/out.gguf";
  expect_success(run_program({"quantize", model_, out, "F32"}));
  EXPECT_EQ(run_program({"run", out, "-p", "ab"}).out, alphabet_text(26));
  const std::string tokenizer = directory_.path() + "/elsewhere.bin";
  std::filesystem::rename(tokenizer_, tokenizer);
  const ChildResult without = run_program({"quantize", model_, out, "F32"});
  expect_success(without);
  EXPECT_THAT(without.err, HasSubstr("found no tokenizer"));
  expect_error(run_program({"run", out, "-p", "a"}), 1, {out, "the file has no tokenizer"});
  EXPECT_EQ(run_program({"run", out, "-z", tokenizer, "-p", "ab"}).out, alphabet_text(26));
  const ChildResult again = run_program({"quantize", out, directory_.path() + "/again.gguf", "F16"});
  expect_success(again);
  EXPECT_THAT(again.err, HasSubstr("found no tokenizer"));
}

}  // namespace
}  // namespace llamajit::test::habits_test
