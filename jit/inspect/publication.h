// Tells debuggers and profilers of a model's kernels, while they live.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jit/code/code_cache.h"
#include "jit/inspect/folder.h"
#include "jit/inspect/gdb.h"
#include "jit/inspect/jitdump.h"

namespace llamajit::jit::inspect {

struct PublicationOptions {
  // The cache must have been published for breakpoints. Core files will hold the kernels.
  bool gdb = false;
  // The directory where the listings that gdb shows are kept, in a folder of their own; without it they go away with the
  // process, so that a core file of it can be stepped through no more.
  std::optional<std::string> keep_listings{};
  std::optional<std::string> perf{};  // where jitdump and listings go, in a folder of their own
  bool perf_map = false;

  bool any() const { return gdb || perf || perf_map; }
};

class Publication {
 public:
  // Comes after code.publish(); `code` must live longer. Writes nothing that is not asked for. Throws
  // std::runtime_error where files can't be written.
  Publication(const CodeCache& code, const PublicationOptions& options);
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;
  ~Publication() = default;

  // The folder of the listings; "" if nobody wants them.
  std::string gdb_listings() const { return gdb_folder_ ? gdb_folder_->path() : ""; }
  // The jitdump's path; "" if there is none.
  std::string jitdump() const { return jitdump_ ? jitdump_->path() : ""; }

 private:
  std::optional<Folder> gdb_folder_;
  std::optional<GdbRegistration> gdb_;
  std::optional<JitDump> jitdump_;
};

}  // namespace llamajit::jit::inspect
