// A model out of a GGUF file: its numbers by their keys, its tensors by the names that its family gives them.
#pragma once

#include <optional>
#include <span>

#include "runtime/files/gguf.h"
#include "runtime/model/families.h"
#include "runtime/model/model_file.h"

namespace llamajit {

// Takes over the mapped file. Throws std::runtime_error that names the file, the key or tensor, what was
// expected and what was found: an unknown family (the known ones are listed), a tensor that is missing, of
// another shape or in a format that is not supported.
ModelFile read_gguf_model(GgufFile file);
// The same with other families than families().
ModelFile read_gguf_model(GgufFile file, std::span<const Family> known);

// The first layer behind the model's own, which predicts a further token (multi-token prediction, arXiv:2412.19437), as
// a model of one layer (Config::takes_hidden). Nothing where the file has none, or none that is known.
std::optional<ModelFile> read_gguf_drafting_layer(GgufFile file);

// Throws std::runtime_error for a file without tensors: a vocabulary alone tokenizes, and is no model.
void check_has_weights(const GgufFile& file);

}  // namespace llamajit
