// An error is said in one line that names the file, the field, what was expected and what was found.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <sys/resource.h>

#include "jit/base/isa.h"
#include "tests/support/program_fixture.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_file.h"

namespace llamajit::test::errors_test {
namespace {

using ::testing::HasSubstr;

const Config kConfig = toy_config(32, 48, 2, 4, 2, 30, 12, true);

class Errors : public AlphabetTest {
 protected:
  // The error of a model with this content, through every subcommand that reads one.
  void expect_refused(const std::string& content, std::vector<std::string> parts) const {
    const std::string path = directory_.write("bad.bin", content);
    parts.push_back(path);
    expect_error(run_program({"run", path, "-p", "a"}), 1, parts);
    expect_error(run_program({"inspect", path}), 1, parts);
    expect_error(run_program({"verify", path}), 1, parts);
    expect_error(run_program({"tokenize", path, "-p", "a"}), 1, parts);
  }
};

std::string v1_with(std::size_t offset, std::int32_t value) {
  std::string content = write_v1(random_weights(kConfig, 7));
  content.replace(offset, 4, reinterpret_cast<const char*>(&value), 4);
  return content;
}

TEST_F(Errors, MissingFiles) {
  const std::string missing = directory_.path() + "/missing.bin";
  for (const char* command : {"run", "inspect", "verify"}) {
    expect_error(run_program({command, missing}), 1, {missing, "No such file or directory"});
  }
  expect_error(run({"-z", missing, "-p", "a"}), 1, {missing, "No such file or directory"});
  expect_error(run({"-f", missing}), 1, {missing, "No such file or directory"});
  expect_error(run({"-f", directory_.path()}), 1, {directory_.path(), "Is a directory"});
  expect_error(run_program({"run", directory_.path(), "-z", tokenizer_, "-p", "a"}), 1,
               {directory_.path(), "found a directory"});
  const TempDirectory alone;
  const std::string model = alone.write("m.bin", write_v1(random_weights(kConfig, 7)));
  expect_error(run_program({"run", model, "-p", "a"}), 1, {alone.path() + "/tokenizer.bin", "-z"});
}

TEST_F(Errors, EmptyNamesOfFiles) {
  const std::string file = ": expected the name of a file, found ''";
  expect_error(run({"-p", "a", "--grammar", ""}), 2, {"--grammar" + file});
  expect_error(run({"-p", "a", "--packed="}), 2, {"--packed" + file});
  expect_error(run({"-z", "", "-p", "a"}), 2, {"--tokenizer" + file});
  expect_error(run_program({"chat", model_, "--session", ""}), 2, {"--session" + file});
  expect_error(run_program({"quantize", model_, "", "Q8_0"}), 2, {"OUT" + file});
  expect_error(run_program({"run", "", "-p", "a"}), 2,
               {"--model: expected a model's file or name, found ''"});
}

TEST_F(Errors, EmptyValues) {
  expect_error(run_program({"serve", model_, "--host", ""}), 2,
               {"--host: expected an address to listen at, found ''"});
  expect_error(run_program({"serve", model_, "--cors", ""}), 2,
               {"--cors: expected an origin or *, found ''"});
  expect_error(run_program({"serve", model_, "--alias", ""}), 2, {"--alias: expected a name, found ''"});
  expect_error(run_program({"bench", "--kernel", ""}), 2,
               {"--kernel: expected FORMAT:ROWSxCOLS", "found ''"});
  expect_error(run_program({"bench", model_, "--seed", ""}), 2,
               {"--seed: expected a whole number, 0 to", "found ''"});
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What a command reads, it must not put its result in the place of, whatever the file is called there.
TEST_F(Errors, WhatIsReadIsNotReplaced) {
  const std::string text = directory_.write("text", "abcdefghij");
  const std::string link = directory_.path() + "/link", matrix = directory_.path() + "/matrix";
  std::filesystem::create_symlink(model_, link);
  expect_success(run_program({"imatrix", model_, "-f", text, "-o", matrix}));
  const auto kept = [&](const std::string& file, const std::vector<std::string>& arguments) {
    const std::string before = content_of(file);
    expect_error(run_program(arguments), 1, {"expected another file than what is read, found ", file});
    EXPECT_EQ(content_of(file), before);
  };
  kept(model_, {"pack", model_, model_});
  kept(model_, {"pack", model_, link});
  kept(model_, {"report", model_, "--no-timing", "-o", model_});
  kept(matrix, {"quantize", model_, matrix, "Q4_0", "--imatrix", matrix});
  kept(text, {"quantize", model_, text, "--target-bits", "8", "--kl-text", text});
  kept(tokenizer_, {"quantize", model_, tokenizer_, "Q4_0"});
  kept(tokenizer_, {"convert", model_, tokenizer_, "-z", tokenizer_});
  kept(tokenizer_, {"imatrix", model_, "-f", text, "-o", tokenizer_});
  for (const std::string& file : {model_, tokenizer_, text}) {
    kept(file, {"perplexity", model_, "-f", text, "--save-logits", file});
    kept(file, {"ngrams", "-m", model_, text, file});
  }
}

// A link to what has no path.
TEST_F(Errors, APipeIsNoFileToWrite) {
  expect_error(run_program({"convert", model_, "/dev/stdout"}), 1,
               {"/dev/stdout: expected a regular file or none, found something else"});
}

TEST_F(Errors, WrongMagic) {
  expect_refused("GGML and then something else entirely",
                 {"content", "expected a model", "text that begins 'GGML and then something else entirely'"});
  expect_refused("GGUF and then something else entirely", {"version", "expected 2 or 3", "found "});
  expect_refused(v1_with(4, 3), {"version", "expected 1 or 2", "found 3"});
}

TEST_F(Errors, TruncatedHeader) {
  expect_refused("24ka", {"version", "expected 4 bytes", "found 0"});
  expect_refused(std::string(20, '\1'), {"header", "expected 28 bytes", "found 20"});
  expect_refused(write_v1(random_weights(kConfig, 7)).substr(0, 40), {"header", "expected", "found"});
}

TEST_F(Errors, TruncatedData) {
  const std::string content = write_v1(random_weights(kConfig, 7));
  expect_refused(content.substr(0, content.size() - 1), {"layers.1.up", "expected 6144 bytes", "found 6143"});
  expect_refused(content + "x", {"file size", "expected", "found"});
}

TEST_F(Errors, AbsurdDimensions) {
  constexpr const char* kFields[] = {"dim",        "hidden_dim", "n_layers", "n_heads",
                                     "n_kv_heads", "vocab_size", "seq_len"};
  for (std::size_t i = 0; i < std::size(kFields); ++i) {
    for (const std::int32_t value : {0, -1, INT32_MIN, INT32_MAX}) {
      if (kSanitized && value != INT32_MAX) continue;
      expect_refused(v1_with(8 + 4 * i, value), {std::string("header.") + kFields[i], "positive count",
                                                 "found " + std::to_string(value)});
    }
  }
  expect_refused(v1_with(8, 1 << 20), {"expected", "found"});
}

TEST_F(Errors, CountsThatDoNotFitEachOther) {
  expect_refused(v1_with(20, 5), {"header.n_heads", "a divisor of dim 32", "found 5"});
  expect_refused(v1_with(24, 3), {"header.n_kv_heads", "a divisor of n_heads 4", "found 3"});
  std::string v2 = write_v2(random_weights(kConfig, 7), 8);
  v2[37] = 7;
  expect_refused(v2, {"header.group_size", "a divisor of dim 32", "found 7"});
}

TEST_F(Errors, TokenizersThatDoNotFitTheModel) {
  std::vector<std::string> pieces = alphabet();
  pieces.pop_back();
  const std::string small = directory_.write("small.bin", tokenizer_file(pieces));
  expect_error(run({"-z", small, "-p", "a"}), 1,
               {small, "tokens: expected 30 (the model's vocabulary), found 29"});
  const std::string cut = directory_.write("cut.bin", tokenizer_file(alphabet()).substr(0, 50));
  expect_error(run({"-z", cut, "-p", "a"}), 1, {cut, "expected", "found"});
  const CheckpointWeights weights = random_weights(toy_config(64, 64, 1, 2, 2, 30, 12, true), 7);
  for (const std::string& content : {write_v0(weights), write_v1(weights), write_v2(weights, 32)}) {
    const std::string model = directory_.write("a-model.bin", content);
    expect_error(run({"-z", model, "-p", "a"}), 1, {model, "found a model; -z takes a tokenizer"});
  }
  pieces.insert(pieces.end(), {"z", "more"});
  const std::string more = directory_.write("more.bin", tokenizer_file(pieces));
  const std::vector<std::string> parts{more, "tokens: expected 30 (the model's vocabulary), found 31"};
  expect_error(run({"-z", more, "-p", "a"}), 1, parts);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"tokenize", model_, "-p", "a"},
        {"chat", model_, "-p", "a", "--template", "alpaca"},
        {"perplexity", model_, "-f", tokenizer_},
        {"quantize", model_, directory_.path() + "/out.gguf", "Q8_0"},
        {"convert", model_, directory_.path() + "/out.gguf"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"-z", more});
    expect_error(run_program(arguments), 1, parts);
  }
  EXPECT_FALSE(std::filesystem::exists(directory_.path() + "/out.gguf"));
}

TEST_F(Errors, ContextsThatDoNotFit) {
  expect_error(run({"-p", "abcdef", "-c", "4"}), 1, {"prompt: expected at most 4 tokens", "found 8"});
  expect_error(run({"-p", "abcdef", "-c", "1"}), 1, {"prompt: expected at most 1 token (the context)"});
  expect_error(run({"-p", "a", "-c", "101"}), 1,
               {model_, "context: expected at most 100 tokens", "found 101"});
}

TEST_F(Errors, TiersThatAreNone) {
  expect_error(
      run({"-p", "a", "--isa", "sse9"}), 2,
      {"--isa: expected one of scalar, avx2, avxvnni, avx512, avx512vnni, avx512bf16, avx512amx, found "
       "'sse9'"});
  expect_error(run_program({"verify", model_, "--isa", ""}), 2, {"--isa: expected one of"});
  ChildOptions options;
  options.environment = {{"LLAMAJIT_ISA", "AVX2"}};
  expect_error(run({"-p", "a"}, options), 2,
               {"LLAMAJIT_ISA: expected one of", "found 'AVX2'; did you mean 'avx2'?"});
}

TEST_F(Errors, TiersThatThisCpuLacks) {
  const std::vector<jit::Tier> host = jit::host_tiers();
  int lacking = 0;
  for (const jit::Tier tier : jit::kAllTiers) {
    if (std::find(host.begin(), host.end(), tier) != host.end()) continue;
    ++lacking;
    expect_error(run({"-p", "a", "--isa", std::string(to_string(tier))}), 1,
                 {"--isa: " + std::string(to_string(tier)) + " needs", "this CPU lacks; it has scalar"});
  }
  if (lacking == 0) GTEST_SKIP() << "this CPU has every tier";
}

TEST_F(Errors, WrongUsage) {
  const std::vector<std::vector<std::string>> wrong = {
      {"bogus"},
      {"quantize"},
      {"report"},
      {"--bogus"},
      {"run", model_, "-p"},
      {"run", model_, "-p", "a", "-f", "b"},
      {"run", model_, "-p", "a", "-n", "x"},
      {"run", model_, "-p", "a", "-n", "99999999999"},
      {"run", model_, "-p", "a", "-t", "0"},
      {"run", model_, "-p", "a", "-t", "-3"},
      {"run", model_, "-p", "a", "-c", "-1"},
      {"run", model_, "-p", "a", "-n", "-5"},
      {"run", model_, "-p", "a", "-b", "0"},
      {"run", model_, "-p", "a", "--temp", "nan"},
      {"run", model_, "-p", "a", "--temp", "inf"},
      {"run", model_, "-p", "a", "--min-p", "0,1"},
      {"run", model_, "-p", "a", "--top-k", "0x10"},
      {"run", model_, "-p", "a", "--seed", "18446744073709551616"},
      {"run", model_, "-p", "a", "--seed", "-"},
      {"run", model_, "-p", "a", "--seed", "1", "-s", "2"},
      {"run", model_, "a", "-p", "a"},
      {"perplexity", model_, "-f", tokenizer_, "--stride", "600"},
      {"run", model_, "-p", "a", "--temp", "-1"},
      {"run", model_, "-p", "a", "--top-p", "2"},
      {"run", model_, "-p", "a", "--seed", "x"},
      {"run", model_, "-p", "a", "left over"},
      {"inspect", model_, "left over"},
      {"models", "left over"},
      {"help", "bogus"},
      {"help", "run", "extra"},
      {"completion", "tcsh"},
  };
  for (const auto& arguments : wrong) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    expect_error(run_program(arguments), 2, {"(see llamajit", "--help)"});
  }
}

TEST_F(Errors, HelpIsAResult) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"run", "--help"},
                                                    {"tokenize", "-h"},
                                                    {"help"},
                                                    {"help", "inspect"}}) {
    const ChildResult result = run_program(arguments);
    expect_success(result);
    EXPECT_THAT(result.out, HasSubstr("Usage:"));
    EXPECT_EQ(result.err, "");
  }
  const ChildResult version = run_program({"--version"});
  expect_success(version);
  EXPECT_THAT(version.out, ::testing::StartsWith("llamajit "));
  EXPECT_THAT(version.out, HasSubstr("tier "));
}

TEST_F(Errors, AReaderThatLeftIsNoneToTell) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"},
        {"--version"},
        {"inspect", model_},
        {"verify", model_, "-q"},
        {"run", model_, "-q", "-p", "a", "-n", "3"},
        {"chat", model_, "-q", "-p", "a", "--template", "{{ messages[0].content }}", "--single-turn"},
        {"tokenize", model_, "-p", "a"}}) {
    std::vector<std::string> words{"/bin/sh", "-c", R"((sleep 0.3; exec "$0" "$@") | :)", LLAMAJIT_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    EXPECT_EQ(run_child(words).err, "") << arguments.front();
  }
}

TEST_F(Errors, AFullDiskIsOneForEveryCommand) {
  ChildOptions options;
  options.output_path = "/dev/full";
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"--version"},
                                                    {"inspect", model_},
                                                    {"verify", model_},
                                                    {"tokenize", model_, "-p", "a"}}) {
    expect_error(run_program(arguments, options), 1, {"standard output: No space left on device"});
  }
}

// Neither memory nor time is taken without a bound where a device has no end.
TEST_F(Errors, WhatHasNoEndIsNoText) {
  ChildOptions options;
  options.limit = std::chrono::seconds(20);
  const std::string most = ": expected a file, or 128 MiB at most of what is none, found more";
  expect_error(run_program({"run", model_, "-f", "/dev/zero"}, options), 1, {"/dev/zero" + most});
  expect_error(run_program({"run", model_, "-p", "a", "--grammar", "/dev/zero"}, options), 1,
               {"/dev/zero" + most});
  TempFile hole("root ::= \"a\"");
  hole.resize(std::size_t{5} << 30);
  expect_error(run_program({"run", model_, "-p", "a", "--grammar", hole.path()}), 1,
               {hole.path() + ": expected 16 MiB at most, found 5368709120 bytes"});
}

#ifndef __SANITIZE_ADDRESS__  // which needs more address space than that by itself
TEST_F(Errors, TheSystemRefusesThreads) {
  ChildOptions options;
  options.before_exec = [] {
    const rlimit limit{rlim_t{1500} << 20, rlim_t{1500} << 20};  // far from enough stacks
    return setrlimit(RLIMIT_AS, &limit) == 0;
  };
  expect_error(run({"-p", "a", "-t", "1024"}, options), 1, {"threads: expected 1024, the system gives"});
}
#endif

}  // namespace
}  // namespace llamajit::test::errors_test
