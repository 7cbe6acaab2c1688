// A model that answers everything with "한글", byte by byte, and its tokenizer: bytes and nothing else, so
// that a text of n bytes is n + 2 tokens (BOS, and the space in front).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/program_fixture.h"

namespace llamajit::test {

inline std::vector<std::int32_t> answering_chain(const std::string& answer) {
  std::vector<std::int32_t> next = byte_chain(answer);
  next[static_cast<std::size_t>(3 + static_cast<unsigned char>(answer.back()))] = 2;
  return next;
}

class ChatTest : public ::testing::Test {
 protected:
  explicit ChatTest(int context = 4000, bool endless = false)
      : model_(directory_.write(
            "model.bin",
            write_v1(chain_model(endless ? byte_chain("한글") : answering_chain("한글"), context)))) {
    directory_.write("tokenizer.bin", tokenizer_file(byte_pieces()));
  }

  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"chat", model_, "-t", "1", "--temp", "0", "--repeat-penalty", "1", "--files",
                               directory_.path()});
    return more;
  }
  ChildResult chat(const std::string& input, std::vector<std::string> more = {},
                   std::vector<std::pair<std::string, std::string>> environment = {}) const {
    ChildOptions options;
    options.input = input;
    options.environment = std::move(environment);
    return run_program(command(std::move(more)), options);
  }

  TempDirectory directory_;
  std::string model_;
};

}  // namespace llamajit::test
