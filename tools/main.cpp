// llamajit: text from Llama-family checkpoints through machine code generated for them.
#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "jit/base/isa.h"
#include "tools/common/cli.h"
#include "tools/common/log.h"
#include "tools/program.h"
#include "tools/usage/arguments.h"
#include "tools/usage/help.h"

namespace llamajit::cli {
namespace {

int print_version() {
  const jit::IsaChoice choice = jit::choose_isa(std::nullopt);
  write_out(
      fmt::format("llamajit {}\ntier {}: {}\n", LLAMAJIT_VERSION, to_string(choice.isa.tier), choice.why));
  return kOk;
}

int usage_error(std::string_view what, const std::string& command) {
  spdlog::error("{} (see llamajit{}{} --help)", what, command.empty() ? "" : " ", command);
  return kUsage;
}

int print_help(const CLI::App& app, const std::string& command) {
  const ProgramPage page = program_page(app);
  const auto found = std::ranges::find(page.commands, command, &CommandPage::name);
  write_out(found == page.commands.end() ? program_help(page) : command_help(page, *found));
  return kOk;
}

// The command that was typed, for messages before it is parsed.
std::string command_of(const CLI::App& app, const std::vector<std::string>& words) {
  try {
    const std::vector<std::string> all = with_command(app, words);
    return all.empty() || all.front().starts_with('-') ? "" : all.front();
  } catch (const UsageError&) {
    return {};
  }
}

int parse_and_run(const std::vector<std::string>& words) {
  CLI::App app;
  Command command;
  bool version = false;
  build_program(app, command, version);
  std::string name;
  try {
    name = command_of(app, words);
    Arguments arguments = read_arguments(app, words);
    std::ranges::reverse(arguments.words);  // CLI11 takes them from the back
    app.parse(std::move(arguments.words));
    for (const std::string& notice : arguments.notices) spdlog::info("{}", notice);
    if (version) return print_version();
    if (command) return command();
  } catch (const CLI::CallForHelp&) {
    return print_help(app, name);
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what(), name);
  } catch (const std::invalid_argument& error) {
    return usage_error(error.what(), name);
  }
  if (words.empty() && bare_run_files_exist()) return bare_run();
  std::cerr << program_help(program_page(app));
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
    return parse_and_run(lesson_arguments({argv + std::min(argc, 1), argv + argc}));
  } catch (const std::bad_alloc&) {
    spdlog::error("out of memory");
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
  return kFailure;
}
