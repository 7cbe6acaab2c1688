#include "tools/common/packed_model.h"

#include <filesystem>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "runtime/base/file_replacement.h"

namespace llamajit::cli {
namespace {

namespace fs = std::filesystem;

std::string path_in_cache(const std::string& folder, const std::string& key) {
  return (fs::path(folder) / (key + ".packed")).string();
}

}  // namespace

void add_packed(CLI::App& sub, PackedOptions& options) {
  constexpr const char* kGroup = "Machine";
  auto* file = sub.add_option("--packed", options.file,
                              "What `llamajit pack` wrote of the model, to be mapped instead of packing; "
                              "default: MODEL.packed, where it is; none: none");
  file->type_name("FILE|none")->group(kGroup);
  sub.add_option("--pack-cache", options.cache,
                 "Folder where packed weights are kept from this start on for later ones")
      ->type_name("FOLDER")
      ->group(kGroup)
      ->excludes(file);
}

std::string packed_beside(const std::string& model) {
  return model + ".packed";
}

std::string find_packed(const PackedOptions& options, const ModelFile& file, const Precision& precision) {
  if (options.file) return *options.file == "none" ? "" : *options.file;
  const std::string key = packed_key(file, precision.bf16);
  std::string path = options.cache ? path_in_cache(*options.cache, key) : packed_beside(file.path());
  std::error_code none;
  if (!fs::exists(path, none)) return {};
  try {
    const PackedFile packed(path, key);
    return path;
  } catch (const std::runtime_error& error) {
    spdlog::warn("{}; it is passed over", error.what());
    return {};
  }
}

void keep_packed(const PackedOptions& options, const ModelFile& file, const Precision& precision,
                 const Engine& engine) {
  if (!options.cache || engine.weights().is_mapped() || engine.peers() != nullptr) return;
  try {
    fs::create_directories(*options.cache);
    const std::string path = path_in_cache(*options.cache, packed_key(file, precision.bf16));
    write_packed_file(path, file, engine.weights(), precision.bf16);
    spdlog::info("{}: {:.1f} MiB of packed weights, for later starts", path,
                 static_cast<double>(engine.weights().bytes()) / (1 << 20));
  } catch (const std::exception& error) {
    spdlog::warn("--pack-cache: {}", error.what());
  }
}

void write_packed_file(const std::string& path, const ModelFile& file, const Weights& weights,
                       Bf16Products bf16) {
  FileReplacement out(path);
  write_packed(packed_key(file, bf16), {weights.data(), weights.bytes()},
               [&](std::span<const std::byte> bytes) { out.write(bytes); });
  out.commit();
}

}  // namespace llamajit::cli
