// Help, manual page and completions are made of the parser's options, and have all of them.
#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/support/program_fixture.h"
#include "tools/program.h"
#include "tools/usage/arguments.h"
#include "tools/usage/completion.h"
#include "tools/usage/foreign_words.h"
#include "tools/usage/help.h"
#include "tools/usage/man_page.h"
#include "tools/usage/notes.h"
#include "tools/usage/suggestion.h"

namespace llamajit::test::usage_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

class Usage : public ::testing::Test {
 protected:
  Usage() { cli::build_program(app_, command_, version_); }

  std::vector<const CLI::App*> commands() const {
    return app_.get_subcommands([](const CLI::App*) { return true; });
  }
  // Every name that a person is to see, of the parser's own options.
  static std::vector<std::string> names_of(const CLI::App& sub) {
    std::vector<std::string> names;
    for (const CLI::Option* option : sub.get_options()) {
      const auto shown = cli::shown_names(*option);
      names.insert(names.end(), shown.begin(), shown.end());
    }
    return names;
  }

  CLI::App app_;
  cli::Command command_;
  bool version_ = false;
};

// All words that look like options.
std::set<std::string> options_in(const std::string& text) {
  static const std::regex kOption("--?[A-Za-z][A-Za-z0-9-]*");
  return {std::sregex_token_iterator(text.begin(), text.end(), kOption), std::sregex_token_iterator()};
}

TEST_F(Usage, EveryCommandHasItsOptionsInHelp) {
  const cli::ProgramPage program = cli::program_page(app_);
  ASSERT_EQ(program.commands.size(), commands().size());
  ASSERT_GE(program.commands.size(), 15U);
  for (std::size_t i = 0; i < commands().size(); ++i) {
    const cli::CommandPage& page = program.commands[i];
    const std::string help = cli::command_help(program, page);
    EXPECT_THAT(options_in(help), IsSupersetOf(names_of(*commands()[i]))) << page.name;
    for (const CLI::Option* option : commands()[i]->get_options()) {
      EXPECT_NE(option->get_description(), "") << page.name << ": " << option->get_name();
    }
    EXPECT_FALSE(page.examples.empty()) << page.name;
    EXPECT_THAT(cli::program_help(program), HasSubstr(fmt::format("\n  {} ", page.name)));
    EXPECT_THAT(help, HasSubstr(fmt::format("Usage: llamajit {} [OPTIONS]", page.name)));
    EXPECT_THAT(help, Not(HasSubstr("model.bin and tokenizer.bin"))) << "the program's own footer";
  }
}

TEST_F(Usage, LinesFitATerminal) {
  const cli::ProgramPage program = cli::program_page(app_);
  std::string all = cli::program_help(program);
  for (const cli::CommandPage& page : program.commands) all += cli::command_help(program, page);
  std::size_t begin = 0;
  for (std::size_t end; (end = all.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = all.substr(begin, end - begin);
    const bool unbroken = line.find_first_of(' ', line.find_first_not_of(' ')) == std::string::npos;
    const bool is_example = line.starts_with("    llamajit") || line.starts_with("Usage:");
    EXPECT_TRUE(line.size() <= 80 || unbroken || is_example) << line;
    EXPECT_FALSE(line.ends_with(' ')) << "'" << line << "'";
  }
}

TEST_F(Usage, ExamplesAreCalls) {
  const cli::ProgramPage program = cli::program_page(app_);
  for (const cli::CommandPage& page : program.commands) {
    for (const cli::Example& example : page.examples) {
      const auto known = names_of(*app_.get_subcommand(page.name));
      for (const std::string& option : options_in(example.line)) {
        if (example.line.find(' ' + option) == std::string::npos) continue;            // part of a word
        const bool is_ours = std::ranges::count(known, option) > 0 || option == "-n";  // echo -n
        EXPECT_TRUE(is_ours) << page.name << ": " << example.line << ": " << option;
      }
      EXPECT_THAT(example.line, HasSubstr("llamajit"));
    }
  }
}

TEST_F(Usage, ManualHasAll) {
  const std::string page = cli::man_page(cli::program_page(app_), "1.2.3");
  const std::string searchable = std::regex_replace(page, std::regex(R"(\\-)"), "-");
  EXPECT_THAT(page, AllOf(HasSubstr(".TH LLAMAJIT 1"), HasSubstr("llamajit 1.2.3"),
                          HasSubstr(".SH ENVIRONMENT"), HasSubstr(".SH \"EXIT STATUS\"")));
  for (const CLI::App* sub : commands()) {
    const std::size_t begin = searchable.find(".SS " + sub->get_name() + "\n");
    ASSERT_NE(begin, std::string::npos) << sub->get_name();
    const std::string section = searchable.substr(begin, searchable.find("\n.SS ", begin) - begin);
    EXPECT_THAT(options_in(section), IsSupersetOf(names_of(*sub))) << sub->get_name();
  }
  for (const cli::VariableNote& note : cli::variable_notes()) {
    std::string name(note.name);
    EXPECT_THAT(page, HasSubstr(name)) << name;
  }
  EXPECT_EQ(run_program({"man"}).out, cli::man_page(cli::program_page(app_), LLAMAJIT_VERSION));
}

TEST_F(Usage, ManualIsRoff) {
  const TempDirectory directory;
  const std::string page = directory.write("llamajit.1", run_program({"man"}).out);
  const ChildResult result = run_child(
      {"/bin/sh", "-c", "command -v groff >/dev/null || exit 99; groff -man -Tutf8 -ww -P-bcu " + page});
  if (result.exit_code == 99) GTEST_SKIP() << "there is no groff";
  expect_success(result);
  EXPECT_EQ(result.err, "") << "warnings";
  EXPECT_THAT(result.out, HasSubstr("EXIT STATUS"));
}

TEST_F(Usage, CompletionsHaveAll) {
  const cli::ProgramPage program = cli::program_page(app_);
  const std::string bash = cli::bash_completion(program), zsh = cli::zsh_completion(program),
                    fish = cli::fish_completion(program);
  for (const CLI::App* sub : commands()) {
    const auto names = names_of(*sub);
    const std::string& command = sub->get_name();
    std::string of_bash = bash.substr(bash.find("\n    " + command + ")\n"));
    of_bash.resize(of_bash.find(";;"));
    EXPECT_THAT(options_in(of_bash), IsSupersetOf(names)) << command;
    std::string of_zsh = zsh.substr(zsh.find("\n    " + command + ")\n"));
    of_zsh.resize(of_zsh.find("&& return ;;"));
    EXPECT_THAT(options_in(of_zsh), IsSupersetOf(names)) << command;
    for (const std::string& name : names) {
      const std::string as_fish = name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      const std::regex line(fmt::format("'__fish_seen_subcommand_from {}'[^\n]*{} ", command, as_fish));
      EXPECT_TRUE(std::regex_search(fish, line)) << command << ": " << name;
    }
  }
  for (const auto& [shell, script] :
       {std::pair("bash", bash), std::pair("zsh", zsh), std::pair("fish", fish)}) {
    EXPECT_EQ(run_program({"completion", shell}).out, script);
  }
}

// A shell's variable that is not set leaves an empty word: the message says of which option.
TEST_F(Usage, PathsAreNotEmpty) {
  std::set<std::string> refused;
  for (CLI::App* sub : app_.get_subcommands({})) {
    std::vector<std::string> before{sub->get_name()};  // the command, and a word for each place in front
    for (const CLI::Option* option : sub->get_options()) {
      std::vector<std::string> words{sub->get_name(), option->get_name()};
      if (!option->nonpositional()) words = before;
      if (option->get_positional()) before.emplace_back("x");
      const cli::ValueKind kind = cli::value_kind(option->get_type_name());
      if (kind == cli::ValueKind::anything || kind == cli::ValueKind::choices) continue;
      words.emplace_back();
      std::ranges::reverse(words);  // CLI11 takes them from the back
      const std::string what = fmt::format("{} {}", sub->get_name(), option->get_name());
      refused.insert(what);
      EXPECT_THAT(([&] { app_.parse(std::vector<std::string>(words)); }),
                  ::testing::ThrowsMessage<CLI::ValidationError>(::testing::MatchesRegex(
                      option->get_name() +
                      ": expected (the name of a (file|folder)|a model's file or name), found ''")))
          << what;
    }
  }
  EXPECT_THAT(refused, IsSupersetOf({"chat --session", "chat --tools", "chat --files", "run --grammar",
                                     "run --json-schema", "run --packed", "run --pack-cache", "serve --model",
                                     "serve --api-key-file", "serve --chat-template-file", "imatrix --output",
                                     "kernels --out", "perplexity --save-logits", "ngrams OUT", "pack OUT"}));
}

// Rows of names that people type from habit must not say what the parser's table does, and aliases must lead
// somewhere.
TEST_F(Usage, ForeignWordsStandBesideOurs) {
  std::set<std::string> ours;
  for (const CLI::App* sub : commands()) {
    for (const std::string& name : names_of(*sub)) ours.insert(name);
  }
  for (const cli::ForeignWord& word : cli::foreign_words()) {
    EXPECT_NE(word.text, "");
    if (word.answer == cli::ForeignAnswer::alias) {
      EXPECT_TRUE(ours.contains(std::string(word.text))) << word.text;
    }
    for (const std::string_view name : word.names) {
      const std::set<std::string_view> elsewhere{"--single-turn", "-l",         "-C",     "--grammar",
                                                 "--json-schema", "--parallel", "--host", "--port"};
      EXPECT_TRUE(elsewhere.contains(name) || !ours.contains(std::string(name))) << name;
    }
  }
}

TEST(Suggestion, CountsWhatAFingerDoes) {
  EXPECT_EQ(cli::edit_distance("", ""), 0);
  EXPECT_EQ(cli::edit_distance("abc", ""), 3);
  EXPECT_EQ(cli::edit_distance("temp", "tmep"), 1);
  EXPECT_EQ(cli::edit_distance("temp", "tem"), 1);
  EXPECT_EQ(cli::edit_distance("temp", "ttemp"), 1);
  EXPECT_EQ(cli::edit_distance("temp", "tamp"), 1);
  EXPECT_EQ(cli::edit_distance("ca", "abc"), 3);  // no letter is touched twice
  EXPECT_EQ(cli::edit_distance("kitten", "sitting"), 3);
}

TEST(Suggestion, IsNearOrNone) {
  const std::vector<std::string> names = {"--temp", "--top-p", "--top-k", "--ctx-size", "-t", "--Q4_K_M"};
  EXPECT_EQ(cli::nearest("--tmep", names), "--temp");
  EXPECT_EQ(cli::nearest("-temp", names), "--temp");
  EXPECT_EQ(cli::nearest("--topk", names), "--top-k");
  EXPECT_EQ(cli::nearest("--ctx", names), "--ctx-size") << "its beginning";
  EXPECT_EQ(cli::nearest("--q4_k_m", names), "--Q4_K_M");
  EXPECT_EQ(cli::nearest("--bogus", names), "");
  EXPECT_EQ(cli::nearest("-x", names), "") << "no letter is left";
}

}  // namespace
}  // namespace llamajit::test::usage_test
