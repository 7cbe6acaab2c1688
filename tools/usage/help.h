// Help, as --help prints it.
#pragma once

#include <string>

#include "tools/usage/page.h"

namespace llamajit::cli {

std::string program_help(const ProgramPage& page);
std::string command_help(const ProgramPage& program, const CommandPage& page);

// "llamajit run [OPTIONS] [MODEL] [PROMPT]"
std::string usage_line(const ProgramPage& program, const CommandPage& page);
// "-t, --threads N", "--gdb[=DIR]"
std::string names_and_value(const OptionEntry& entry);
// With the default, where the text does not say it.
std::string text_of(const OptionEntry& entry);

}  // namespace llamajit::cli
