#include "tools/common/inspection.h"

#include <cstdlib>
#include <optional>

#include <spdlog/spdlog.h>

#include "jit/inspect/gdb.h"

namespace llamajit::cli {
namespace {

constexpr std::string_view kNoFolder = "true";  // what CLI11 takes a flag without a value for

// LLAMAJIT_GDB: 0 is no, 1 is yes, anything else a folder that listings are kept in.
std::optional<std::string> gdb_variable() {
  const char* value = std::getenv("LLAMAJIT_GDB");
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value == std::string_view("1") ? std::string(kNoFolder) : value;
}

}  // namespace

void add_inspection(CLI::App& sub, InspectionFlags& flags) {
  constexpr const char* kGroup = "Inspection";
  sub.add_flag("--gdb", flags.gdb,
               "Show the kernels to gdb, with their listings; --gdb=DIR keeps the listings there, for core "
               "files. Default where a debugger runs the program, or LLAMAJIT_GDB is 1 or DIR (0: never)")
      ->option_text("DIR")
      ->group(kGroup);
  sub.add_flag("--perf", flags.perf,
               "Write a jitdump and listings for perf record -k mono and perf inject -j, to a new folder in "
               "the current one; --perf=DIR: in DIR")
      ->option_text("DIR")
      ->group(kGroup);
  sub.add_flag("--perf-map", flags.perf_map, "Write /tmp/perf-PID.map, for tools that know no jitdump")
      ->group(kGroup);
}

jit::inspect::PublicationOptions publication_options(const InspectionFlags& flags) {
  jit::inspect::PublicationOptions options;
  std::string gdb = flags.gdb;
  if (gdb.empty()) gdb = gdb_variable().value_or(jit::inspect::debugger_attached() ? kNoFolder.data() : "0");
  options.gdb = gdb != "0";
  if (options.gdb && gdb != kNoFolder) options.keep_listings = gdb;
  if (!flags.perf.empty()) options.perf = flags.perf == kNoFolder ? "." : flags.perf;
  options.perf_map = flags.perf_map;
  return options;
}

void log_publication(const jit::inspect::Publication& publication) {
  if (!publication.gdb_listings().empty()) spdlog::info("listings for gdb: {}", publication.gdb_listings());
  if (!publication.jitdump().empty()) spdlog::info("jitdump for perf: {}", publication.jitdump());
}

}  // namespace llamajit::cli
