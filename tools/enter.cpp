#include "tools/enter.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "jit/base/isa.h"
#include "jit/code/isa_choice.h"
#include "tools/common/cli.h"
#include "tools/common/log.h"
#include "tools/program.h"
#include "tools/usage/arguments.h"
#include "tools/usage/help.h"
#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace {

int print_version() {
  const jit::IsaChoice choice = jit::choose_isa(std::nullopt);
  write_out(
      fmt::format("llamajit {}\ntier {}: {}\n", LLAMAJIT_VERSION, to_string(choice.isa.tier), choice.why));
  return kOk;
}

constexpr const char* kIsaVariable = "LLAMAJIT_ISA";

int usage_error(std::string_view what, const std::string& command) {
  spdlog::error("{} (see llamajit{}{} --help)", what, command.empty() ? "" : " ", command);
  return kUsage;
}

// The tiers that the variable may name are near to it as they are to an option's value.
std::string with_suggestion(const std::string& what) {
  const char* const named = std::getenv(kIsaVariable);
  if (named == nullptr || !what.starts_with(fmt::format("{}: expected one of", kIsaVariable))) return what;
  std::vector<std::string> names;
  for (const jit::Tier tier : jit::kAllTiers) names.emplace_back(to_string(tier));
  return what + did_you_mean(named, names);
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
  TypedNames typed;
  try {
    name = command_of(app, words);
    Arguments arguments = read_arguments(app, words);
    typed = std::move(arguments.typed);
    std::ranges::reverse(arguments.words);  // CLI11 takes them from the back
    app.parse(std::move(arguments.words));
    for (const std::string& notice : arguments.notices) spdlog::info("{}", notice);
    if (version) return print_version();
    if (command) return command();
  } catch (const CLI::CallForHelp&) {
    return print_help(app, name);
  } catch (const CLI::ParseError& error) {
    return usage_error(as_typed(error.what(), typed), name);
  } catch (const std::invalid_argument& error) {
    return usage_error(with_suggestion(as_typed(error.what(), typed)), name);
  } catch (const std::runtime_error& error) {
    spdlog::error("{}", as_typed(error.what(), typed));
    return kFailure;
  }
  if (words.empty() && bare_run_files_exist()) return bare_run();
  std::cerr << program_help(program_page(app));
  return kUsage;
}

// Of that little which takes no memory.
void say_out_of_memory() {
  constexpr std::string_view kSaid = "llamajit: out of memory\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kSaid.data(), kSaid.size());
}

void say(const std::exception& error) {
  try {
    spdlog::error("{}", error.what());
  } catch (const std::bad_alloc&) {
    say_out_of_memory();
  }
}

// Where memory runs out within what must not throw (destructors of JSON allocate), there is no way back.
[[noreturn]] void end_program() {
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      say_out_of_memory();
      std::_Exit(kFailure);
    } catch (...) {  // a fault of ours
    }
  }
  std::abort();
}

template <class Run>
int run_and_say(const Run& run) {
  // A closed pipe is an ordinary write error, so that what was begun is ended in order.
  std::signal(SIGPIPE, SIG_IGN);
  std::set_terminate(end_program);
  std::signal(SIGXFSZ, SIG_IGN);  // nor is a file that a limit cuts off
  try {
    log_to_standard_error();
    return run();
  } catch (const ReaderLeft&) {
    return kFailure;
  } catch (const std::bad_alloc&) {
    say_out_of_memory();
  } catch (const std::exception& error) {
    say(error);
  }
  return kFailure;
}

}  // namespace

int enter(const std::vector<std::string>& arguments) {
  return run_and_say([&] { return parse_and_run(lesson_arguments(arguments)); });
}
int enter(int argc, char** argv) {
  return run_and_say([&] {
    return parse_and_run(lesson_arguments({argv + std::min(argc, 1), argv + argc}));
  });
}

}  // namespace llamajit::cli
