// What help, manual and completions say of the program, taken from the parser's own options.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace llamajit::cli {

// The section of what every command has.
inline constexpr const char* kGeneral = "General";

struct OptionEntry {
  std::vector<std::string> names;  // with their dashes; for a word without a name, none
  std::string value;               // what follows the name: FILE, N, f32|f16; empty for a flag
  bool value_attached = false;     // the value may be left out, and follows a = where it is given
  bool repeatable = false;
  std::string text;
  std::string fallback;  // the value without the option, where the text does not say it
};

struct OptionSection {
  std::string title;
  std::vector<OptionEntry> entries;
};

struct WordEntry {
  std::string name;
  bool required = false;
  bool repeatable = false;
  std::string value;  // MODEL, FILE, or what there is to choose from
  std::string text;
};

struct Example {
  std::string what;
  std::string line;
};

struct Variable {
  std::string name;
  std::string text;
};

struct CommandPage {
  std::string name;
  std::string text;
  std::string section;  // of the list of commands
  std::vector<WordEntry> words;
  std::vector<OptionSection> sections;
  std::vector<Example> examples;
  std::vector<Variable> variables;
};

struct ProgramPage {
  std::string name;
  std::string text;
  std::vector<OptionSection> sections;  // of the program itself
  std::vector<CommandPage> commands;
  std::vector<Example> examples;
  std::vector<Variable> variables;  // of all commands
};

ProgramPage program_page(const CLI::App& app);

// The names of an option that are shown: without those that differ from another by underscores only.
std::vector<std::string> shown_names(const CLI::Option& option);

// The first word and all names of all commands.
std::vector<std::string> command_names(const CLI::App& app);

}  // namespace llamajit::cli
