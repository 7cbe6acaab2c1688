// llamajit: text from Llama-family checkpoints through machine code generated for them.
#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "jit/base/isa.h"
#include "tools/common/cli.h"

namespace llamajit::cli {
namespace {

void log_to_standard_error() {
  auto logger =
      std::make_shared<spdlog::logger>("llamajit", std::make_shared<spdlog::sinks::stderr_sink_st>());
  logger->set_pattern("%n: %v");
  spdlog::set_default_logger(std::move(logger));
}

int print_version() {
  const jit::IsaChoice choice = jit::choose_isa(std::nullopt);
  write_out(
      fmt::format("llamajit {}\ntier {}: {}\n", LLAMAJIT_VERSION, to_string(choice.isa.tier), choice.why));
  return kOk;
}

int parse_and_run(int argc, char** argv) {
  CLI::App app("llamajit: text from Llama-family checkpoints through machine code generated for them.",
               "llamajit");
  app.footer(
      "With no arguments, in a folder with model.bin and tokenizer.bin, the prompt is a line of standard "
      "input.");
  Command command;
  bool version = false;
  app.add_flag("--version", version, "Print the version, and the instruction tier that would be used");
  app.require_subcommand(0, 1);
  add_run(app, command);
  add_chat(app, command);
  add_tokenize(app, command);
  add_inspect(app, command);
  add_models(app, command);
  add_kernels(app, command);
  add_report(app, command);
  add_bench(app, command);
  add_verify(app, command);
  add_perplexity(app, command);
  add_quantize(app, command);
  add_lesson(app, command);
  add_convert(app, command);
  try {
    std::vector<std::string> arguments = lesson_arguments({argv + std::min(argc, 1), argv + argc});
    std::ranges::reverse(arguments);  // CLI11 takes them from the back
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    write_out(app.help());
    return kOk;
  } catch (const CLI::ParseError& error) {
    spdlog::error("{} (see llamajit --help)", error.what());
    return kUsage;
  }
  if (version) return print_version();
  if (command) return command();
  if (argc == 1 && bare_run_files_exist()) return bare_run();
  std::cerr << app.help();
  return kUsage;
}

}  // namespace
}  // namespace llamajit::cli

int main(int argc, char** argv) {
  using namespace llamajit::cli;
  // A closed pipe is an ordinary write error with a message, not a silent death.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // nor is a file that a limit cuts off
  log_to_standard_error();
  try {
    return parse_and_run(argc, argv);
  } catch (const std::invalid_argument& error) {
    spdlog::error("{}", error.what());
    return kUsage;
  } catch (const std::bad_alloc&) {
    spdlog::error("out of memory");
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  return kFailure;
}
