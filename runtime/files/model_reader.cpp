#include "runtime/files/model_reader.h"

#include "runtime/files/ggml_legacy_model.h"
#include "runtime/files/gguf_model.h"
#include "runtime/files/llama2c.h"

namespace llamajit {

ModelFile read_model(const std::string& path) {
  if (is_gguf(path)) return read_gguf_model(GgufFile(path));
  if (is_ggml_legacy(path)) return read_ggml_legacy_model(GgmlLegacyFile(path));
  return read_llama2c(path);
}

std::optional<ModelFile> read_drafting_layer(const std::string& path) {
  return is_gguf(path) ? read_gguf_drafting_layer(GgufFile(path)) : std::nullopt;
}

}  // namespace llamajit
