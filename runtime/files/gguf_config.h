// A model's numbers out of a GGUF file, by the keys that its family gives them.
#pragma once

#include <optional>
#include <span>

#include "runtime/files/gguf.h"
#include "runtime/model/config.h"
#include "runtime/model/families.h"

namespace llamajit {

// Both throw std::runtime_error that names the file, the key, what was expected and what was found.

// The one of the known families that general.architecture names.
const Family& family_of(const GgufFile& file, std::span<const Family> known);

// A key that says one number, or an array of one for each layer, gives each layer its own. Config's common
// shape is that of the first layer; Config::layers is empty where all layers have it.
Config read_gguf_config(const GgufFile& file, const Family& family);

// The number of the first layer behind the model's own, which drafts for it; nothing where the file has none of its
// tensors, or the family's are not known.
std::optional<int> find_drafting_layer(const GgufFile& file, const Family& family);
// That of this layer, as a model's only one.
Config read_drafting_config(const GgufFile& file, const Family& family);

}  // namespace llamajit
