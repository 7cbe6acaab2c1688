// The way of the program that this one grew from, llama2.asm:
// no options, two files with fixed names, one line.
#include <filesystem>
#include <iostream>

#include "tools/common/cli.h"
#include "tools/common/generation.h"

namespace llamajit::cli {
namespace {

constexpr const char* kModel = "model.bin";
constexpr const char* kTokenizer = "tokenizer.bin";

}  // namespace

bool bare_run_files_exist() {
  return std::filesystem::exists(kModel) && std::filesystem::exists(kTokenizer);
}

int bare_run() {
  TextRequest request;
  request.model = kModel;
  request.tokenizer = kTokenizer;
  request.threads = default_threads();
  say_what_is_read("the prompt", "Enter");
  std::getline(std::cin, request.prompt);  // an end of input without a newline ends the line too
  return generate_text(request);
}

}  // namespace llamajit::cli
