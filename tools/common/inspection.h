// The flags that show generated code to debuggers and profilers.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "jit/inspect/publication.h"

namespace llamajit::cli {

// Each "" where the flag was not given, "true" where it was, or the folder that was given with it.
struct InspectionFlags {
  std::string gdb;
  std::string perf;
  bool perf_map = false;
};

// --gdb[=DIR], --perf[=DIR], --perf-map.
void add_inspection(CLI::App& sub, InspectionFlags& flags);

// Returns what the flags ask for. Without --gdb, LLAMAJIT_GDB
// decides, and without that whether a debugger is there.
jit::inspect::PublicationOptions publication_options(const InspectionFlags& flags);

// Says on standard error where listings and jitdump are.
void log_publication(const jit::inspect::Publication& publication);

}  // namespace llamajit::cli
