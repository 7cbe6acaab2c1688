#include "runtime/model_reader.h"

#include "runtime/gguf_model.h"
#include "runtime/llama2c.h"

namespace llamajit {

ModelFile read_model(const std::string& path) {
  return is_gguf(path) ? read_gguf_model(GgufFile(path)) : read_llama2c(path);
}

}  // namespace llamajit
