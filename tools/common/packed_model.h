// Where a model's packed weights lie, and whether they are of use.
#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "runtime/forward/engine.h"

namespace llamajit::cli {

struct PackedOptions {
  std::optional<std::string> file;   // "none": none
  std::optional<std::string> cache;  // a folder, whose files are named by packed_key()
};

// --packed FILE|none, --pack-cache FOLDER.
void add_packed(CLI::App& sub, PackedOptions& options);

// What EngineOptions::packed should be: the file that is named, or the cache's, or MODEL.packed; empty where there is
// none, or where it is of another model, which is warned of unless it was named: then the engine refuses it.
std::string find_packed(const PackedOptions& options, const ModelFile& file, const Precision& precision);
// Writes what the engine has packed to the cache, if there is one and it was not there. A failure is but a warning.
void keep_packed(const PackedOptions& options, const ModelFile& file, const Precision& precision,
                 const Engine& engine);

// Throws std::runtime_error.
void write_packed_file(const std::string& path, const ModelFile& file, const Weights& weights,
                       Bf16Products bf16);
// MODEL.packed.
std::string packed_beside(const std::string& model);

}  // namespace llamajit::cli
