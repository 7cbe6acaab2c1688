// Command lines, and the numbers in them: all is read, and no command is run.
#include <algorithm>
#include <utility>

#include <CLI/CLI.hpp>

#include "tests/fuzz/fuzz.h"
#include "tools/common/cli.h"
#include "tools/program.h"
#include "tools/usage/arguments.h"

namespace llamajit::fuzz {
namespace {

struct Program {
  Program() { cli::build_program(app, command, version); }
  CLI::App app;
  cli::Command command;
  bool version = false;
};

}  // namespace

// As main() does it, but that there all options begin with what they are without.
void run(std::string_view input) {
  Recipe recipe(input);
  std::vector<std::string> words;
  while (!recipe.done()) words.emplace_back(recipe.text());
  static auto* const kProgram = new Program;
  CLI::App& app = kProgram->app;
  app.clear();
  try {
    cli::Arguments arguments = cli::read_arguments(app, cli::lesson_arguments(std::move(words)));
    std::ranges::reverse(arguments.words);
    app.parse(std::move(arguments.words));
  } catch (const CLI::CallForHelp&) {
  } catch (const CLI::ParseError& error) {
    cli::as_typed(error.what(), {});
  } catch (const std::invalid_argument&) {
  } catch (const std::runtime_error&) {
  }
}

std::vector<std::string> seeds() {
  return {
      joined(
          {"run", "-m", "model.bin", "-p", "hi", "-n", "16", "--temp", "0.8", "--top-p", "0.9", "-s", "7"}),
      joined({"serve", "--port", "0", "--slots", "4", "--cache-tokens", "4096", "--host", "127.0.0.1"}),
      joined({"quantize", "in.gguf", "out.gguf", "Q4_K_M", "--imatrix", "i.gguf"}),
      joined({"perplexity", "-m", "m.gguf", "-f", "text", "--stride", "256", "-c", "512"}),
      joined({"bench", "-t", "2", "--json"}),
      joined({"lesson", "dot", "--", "1,-2", "3e5,0x10"}),
      joined({"-m", "m.gguf", "-ngl", "99", "--no-mmap", "-fa", "-c", "1e3"}),
      joined({"kernels", "--dump", "folder", "--isa", "avx2", "-v"}),
      joined({"tokenize", "-m", "story", "text", "--help"}),
      joined({"--version"}),
  };
}

}  // namespace llamajit::fuzz
