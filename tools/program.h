// The program's commands and options: one tree, of which parsing, help, manual and completions are made.
#pragma once

#include <CLI/CLI.hpp>

#include "tools/common/cli.h"

namespace llamajit::cli {

// The callback of the command that was parsed sets `command`, --version sets `version`. Both must outlive the
// tree.
void build_program(CLI::App& app, Command& command, bool& version);

}  // namespace llamajit::cli
