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

}  // namespace llamajit
