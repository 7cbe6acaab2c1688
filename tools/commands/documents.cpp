// llamajit completion, llamajit man: what shells and man(1) are told of the program, from its own options.
#include <memory>

#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/usage/completion.h"
#include "tools/usage/man_page.h"

namespace llamajit::cli {
namespace {

int completion(const CLI::App& app, const std::string& shell) {
  const ProgramPage page = program_page(app);
  write_out(shell == "bash"  ? bash_completion(page)
            : shell == "zsh" ? zsh_completion(page)
                             : fish_completion(page));
  return kOk;
}

int man(const CLI::App& app) {
  write_out(man_page(program_page(app), LLAMAJIT_VERSION));
  return kOk;
}

}  // namespace

void add_completion(CLI::App& app, Command& command) {
  auto shell = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("completion", "Print the script that completes words for a shell");
  choose_from(*sub->add_option("SHELL", *shell, "bash, zsh or fish")->required(), {"bash", "zsh", "fish"});
  sub->callback([shell, &app, &command] { command = [shell, &app] { return completion(app, *shell); }; });
}

void add_man(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("man", "Print the manual page, for man(1)");
  sub->callback([&app, &command] { command = [&app] { return man(app); }; });
}

}  // namespace llamajit::cli
