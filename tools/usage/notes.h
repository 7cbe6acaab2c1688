// What the parser's options do not tell of themselves: where a command stands in the list of them, examples,
// and the variables of the environment.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/usage/page.h"

namespace llamajit::cli {

// A variable, and the option that a command has where the variable means something to it.
struct VariableNote {
  std::string_view name;
  std::string_view option;
  std::string_view text;
};

std::span<const VariableNote> variable_notes();

// The titles of the list of commands, in their order.
std::span<const std::string_view> command_sections();
std::string command_section(std::string_view command);

// Without a command, the program's.
std::vector<Example> examples_of(std::string_view command);

}  // namespace llamajit::cli
