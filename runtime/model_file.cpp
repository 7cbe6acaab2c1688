#include "runtime/model_file.h"

#include <algorithm>
#include <functional>

namespace llamajit {

jit::SourceMatrix source(const Tensor& tensor) {
  return {tensor.format, tensor.rows, tensor.cols, tensor.data, tensor.scales};
}

void ModelFile::check_intact() const {
  for (const MappedFile& part : parts) part.check_intact();
}

std::vector<const Tensor*> ModelFile::tensors() const {
  std::vector<const Tensor*> all{&embedding, &final_norm};
  for (const LayerTensors& l : layers) {
    all.insert(all.end(), {&l.att_norm, &l.wq, &l.wk, &l.wv, &l.wo, &l.ffn_norm, &l.gate, &l.down, &l.up});
  }
  if (!config.shared_classifier) all.push_back(&classifier);
  // Versions store the same tensors in different orders; all views lie in one mapping, so their addresses
  // say which.
  std::ranges::sort(all, std::less<>(), [](const Tensor* tensor) { return tensor->data.data(); });
  return all;
}

}  // namespace llamajit
