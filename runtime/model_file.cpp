#include "runtime/model_file.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace llamajit {

float tensor_value(const Tensor& tensor, std::int64_t row, std::int64_t col) {
  const auto read_f32 = [](const std::byte* at) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  const std::int64_t index = row * tensor.cols + col;
  if (tensor.format.kind == jit::FormatKind::f32) return read_f32(tensor.data.data() + index * 4);
  const int code = static_cast<std::int8_t>(tensor.data[static_cast<std::size_t>(index)]);
  return static_cast<float>(code) * read_f32(tensor.scales.data() + index / tensor.format.group * 4);
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
