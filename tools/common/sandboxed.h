// The sandbox of the commands that run models.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tools/common/inspection.h"
#include "tools/sandbox/sandbox.h"

namespace llamajit::cli {

// --no-sandbox.
void add_sandbox(CLI::App& sub, bool& wanted);

// Whether it will be entered; else --verbose is told why not. Debuggers that are shown the code write to it and leave files
// to be removed.
bool can_be_sandboxed(bool wanted, const jit::inspect::PublicationOptions& publication);

// From now on; --verbose is told what holds and what this system does not have.
void enter_sandbox(const sandbox::Needs& needs);

// The folder itself, absolute and without links. Throws std::runtime_error that names one that does not exist.
std::string real_folder(const std::string& path);
// Where a file is, or would be, that a FileReplacement writes.
std::string folder_of(const std::string& path);

}  // namespace llamajit::cli
