#include "tools/common/tune_cache.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "runtime/base/file_replacement.h"

namespace llamajit::cli {
namespace {

// {"<cpu>": {"<tier>, <n> threads": {"<kernel>": <streams>}}}
using Json = nlohmann::ordered_json;

constexpr int kStreams[] = {1, 2, 4};

// Empty where nothing says whose folder it is.
std::filesystem::path cache_file() {
  const auto from = [](const char* variable) {
    const char* value = std::getenv(variable);
    return std::filesystem::path(value != nullptr ? value : "");
  };
  // A relative XDG_CACHE_HOME is to be ignored, says the XDG Base Directory Specification.
  if (const auto cache = from("XDG_CACHE_HOME"); cache.is_absolute())
    return cache / "llamajit" / "tuning.json";
  if (const auto home = from("HOME"); home.is_absolute()) return home / ".cache" / "llamajit" / "tuning.json";
  return {};
}

std::string tier_and_threads(jit::Isa isa, int threads) {
  return fmt::format("{}, {} threads", to_string(isa.tier), threads);
}

void expect_object(const Json& json, std::string_view name) {
  if (!json.is_object()) throw std::runtime_error(fmt::format("{}: expected an object", name));
}

// Throws where the file is not what we write.
Json parse(std::istream& file) {
  Json json = Json::parse(file);
  expect_object(json, "the whole");
  for (const auto& [cpu, tiers] : json.items()) {
    expect_object(tiers, cpu);
    for (const auto& [tier, kernels] : tiers.items()) {
      expect_object(kernels, tier);
      for (const auto& kernel : kernels.items()) {
        const Json& streams = kernel.value();
        if (std::ranges::any_of(kStreams, [&](int n) { return streams == n; })) continue;
        throw std::runtime_error(
            fmt::format("{}: expected 1, 2 or 4, found {}", kernel.key(), streams.dump()));
      }
    }
  }
  return json;
}

Json read(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (path.empty() || !file) return Json::object();
  try {
    return parse(file);
  } catch (const std::exception& error) {  // the parser's own too
    spdlog::warn("{}: {}; nothing is taken from it", path.string(), error.what());
    return Json::object();
  }
}

void replace(const std::filesystem::path& path, const Json& json) {
  const std::filesystem::path folder = path.parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw std::runtime_error(fmt::format("{}: {}", folder.string(), error.message()));
  FileReplacement file(path.string());
  file.write(json.dump(2) + "\n");
  file.commit();
}

// What was measured counts for this run, whether it can be kept or not.
void keep(const Json& json, const std::filesystem::path& path) {
  try {
    if (path.empty()) throw std::runtime_error("neither XDG_CACHE_HOME nor HOME names a folder for it");
    replace(path, json);
  } catch (const std::runtime_error& error) {
    spdlog::warn("--tune: what was measured is not kept: {}", error.what());
  }
}

}  // namespace

Tuning remembered_tuning(jit::Isa isa, int threads) {
  Json json = read(cache_file());
  Tuning tuning;
  for (const auto& [kernel, streams] : json[jit::cpu_name()][tier_and_threads(isa, threads)].items())
    tuning.streams[kernel] = streams.get<int>();
  return tuning;
}

void tune_and_remember(Engine& engine) {
  const Tuning before = engine.tuning();
  tune(engine);
  const std::filesystem::path path = cache_file();
  Json json = read(path);
  Json& kernels = json[jit::cpu_name()][tier_and_threads(engine.code().isa(), engine.threads())];
  for (const auto& [kernel, streams] : engine.tuning().streams) {
    if (before.streams.contains(kernel)) continue;
    kernels[kernel] = streams;
    spdlog::info("tuned: {} reads {} tile{} side by side", kernel, streams, streams == 1 ? "" : "s");
  }
  keep(json, path);
}

}  // namespace llamajit::cli
