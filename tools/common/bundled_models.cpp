#include "tools/common/bundled_models.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFolderVariable = "LLAMAJIT_MODELS";

// Empty where the system does not tell.
fs::path folder_of_program() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path();
}

// The model that is called so, as "story" or "story.gguf"; empty where none is.
std::string find_bundled(const std::string& name) {
  for (const fs::path& model : find_models(model_folders())) {
    if (model.stem() == name || model.filename() == name) return model.string();
  }
  return {};
}

// Once in a run: the other folders are searched all the same.
void warn_of_missing(const fs::path& folder) {
  static bool warned = false;
  std::error_code error;
  if (warned || fs::is_directory(folder, error)) return;
  warned = true;
  const std::string why = error ? error.message() : fs::exists(folder) ? "it is no folder" : "";
  spdlog::warn("{} names {}, where no models can be found: {}", kFolderVariable, folder.string(), why);
}

std::string missing(const std::string& named) {
  std::string text =
      fmt::format("{}: {}, and no model that is bundled has the name", named, std::strerror(ENOENT));
  if (named.find(' ') != std::string::npos) return text + "; a prompt goes behind a model, or behind -p";
  const std::string near = did_you_mean(named, bundled_names());
  return text + (near.empty() ? "; llamajit models lists them" : near);
}

// A folder in a model's place: what lies in it that could be meant.
[[noreturn]] void refuse_folder(const std::string& named) {
  std::string text = fmt::format("{}: expected a regular file, found a directory", named);
  const std::vector<fs::path> models = find_models({{named, "named"}});
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(models.size(), kShown); ++i) {
    text += fmt::format("{}{}", i == 0 ? "; name a file in it: " : ", ", models[i].filename().string());
  }
  throw std::runtime_error(text + (models.size() > kShown ? ", …" : ""));
}

std::string searched(const std::vector<ModelFolder>& folders) {
  std::string text;
  for (const ModelFolder& folder : folders) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", folder.path.string(), folder.origin);
  }
  return text;
}

}  // namespace

std::vector<ModelFolder> model_folders() {
  std::vector<ModelFolder> folders;
  if (const char* named = std::getenv(kFolderVariable); named != nullptr && *named != '\0') {
    folders.push_back({named, kFolderVariable});
    warn_of_missing(named);
  }
  if (const fs::path program = folder_of_program(); !program.empty()) {
    folders.push_back({(program / LLAMAJIT_MODELS_BESIDE_PROGRAM).lexically_normal(), "beside the program"});
    // A program that was installed knows nothing of the folder that it was built in.
    if (std::error_code absent; fs::exists(program / "CMakeCache.txt", absent)) {
      folders.push_back({(program / LLAMAJIT_MODELS_FROM_BUILD).lexically_normal(), "the source tree"});
    }
  }
  return folders;
}

std::vector<fs::path> find_models(const std::vector<ModelFolder>& folders) {
  std::vector<fs::path> found;
  std::set<fs::path> names;
  for (const ModelFolder& folder : folders) {
    std::vector<fs::path> here;
    std::error_code error;  // a folder that is not there has no models
    for (fs::directory_iterator entry(folder.path, error), end; !error && entry != end;
         entry.increment(error)) {
      if (entry->path().extension() == ".gguf" && names.insert(entry->path().filename()).second) {
        here.push_back(entry->path());
      }
    }
    std::ranges::sort(here, {}, [](const fs::path& path) { return path.stem(); });
    found.insert(found.end(), here.begin(), here.end());
  }
  return found;
}

std::string bundled_model(const std::vector<ModelFolder>& folders) {
  for (const ModelFolder& folder : folders) {
    std::error_code error;
    if (fs::path model = folder.path / kBundledModel; fs::exists(model, error)) return model.string();
  }
  throw std::runtime_error(
      fmt::format("no model is named, and the bundled one was not found: expected {} in one of {}",
                  kBundledModel, searched(folders)));
}

std::vector<std::string> bundled_names() {
  std::vector<std::string> names;
  for (const fs::path& model : find_models(model_folders())) names.push_back(model.stem().string());
  return names;
}

bool is_bundled(const std::string& name) {
  return !find_bundled(name).empty();
}

std::string named_or_bundled(const std::string& named) {
  std::error_code error;
  if (fs::is_directory(named, error)) refuse_folder(named);
  if (!named.empty() && (fs::exists(named, error) || error || named.find('/') != std::string::npos)) {
    return named;
  }
  if (std::string model = find_bundled(named); !model.empty()) {
    spdlog::info("using the bundled model {} ({})", named, model);
    return model;
  }
  if (!named.empty()) throw std::runtime_error(missing(named));
  std::string model = bundled_model(model_folders());
  spdlog::info("no model named; using the bundled story model ({})", model);
  return model;
}

}  // namespace llamajit::cli
