// Model files of any format that is known.
#pragma once

#include <optional>
#include <string>

#include "runtime/model/model_file.h"

namespace llamajit {

// GGUF, a legacy ggml file or a llama2.c checkpoint, told apart by content. Throws std::runtime_error that
// names the file, the field, what was expected and what was found.
ModelFile read_model(const std::string& path);

// The layer that a model brings to draft for itself, as read_gguf_drafting_layer() has it; nothing where it brings none.
std::optional<ModelFile> read_drafting_layer(const std::string& path);

}  // namespace llamajit
