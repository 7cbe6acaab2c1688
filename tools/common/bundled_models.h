// The models that come with the program, and what else lies in their folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace llamajit::cli {

// The model that is taken where none is named.
inline constexpr const char* kBundledModel = "story.gguf";

struct ModelFolder {
  std::filesystem::path path;
  std::string origin;  // for people: where the path comes from
};

// In the order in which they are searched: the one that LLAMAJIT_MODELS names, the installed one beside the
// program, the source tree's where the program lies in its build folder. They need not exist.
std::vector<ModelFolder> model_folders();

// The GGUF files of these folders, sorted by name within each. Of files of one name, the first is taken.
std::vector<std::filesystem::path> find_models(const std::vector<ModelFolder>& folders);

// Its path in the first folder that has it. Throws std::runtime_error that lists the searched folders.
std::string bundled_model(const std::vector<ModelFolder>& folders);

// What models are called that can be named without a path: "story".
std::vector<std::string> bundled_names();
bool is_bundled(const std::string& name);

// `named`, where there is such a file; the bundled model of that name, or the default where there is none. A
// line in the log says which was taken. Throws std::runtime_error where there is neither.
std::string named_or_bundled(const std::string& named);

}  // namespace llamajit::cli
