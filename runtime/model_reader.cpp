#include "runtime/model_reader.h"

#include "runtime/ggml_legacy_model.h"
#include "runtime/gguf_model.h"
#include "runtime/llama2c.h"

namespace llamajit {

ModelFile read_model(const std::string& path) {
  if (is_gguf(path)) return read_gguf_model(GgufFile(path));
  if (is_ggml_legacy(path)) return read_ggml_legacy_model(GgmlLegacyFile(path));
  return read_llama2c(path);
}

}  // namespace llamajit
