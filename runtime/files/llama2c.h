// llama2.c checkpoints: v0 (legacy float32), v1 (float32 with a header), v2 (Q8_0 with a group size).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "runtime/model/model_file.h"

namespace llamajit {

// Maps and validates a checkpoint; which version it is follows from its content, never from its name.
// Layout: karpathy/llama2.c export.py. Throws std::runtime_error that names the file, the field, what was
// expected and what was found.
ModelFile read_llama2c(const std::string& path);

// Whether bytes begin as a checkpoint does: with the magic or, as version 0 has none, with seven counts that a
// model may have.
bool looks_like_llama2c(std::span<const std::byte> bytes);

}  // namespace llamajit
