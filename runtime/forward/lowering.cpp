#include "runtime/forward/lowering.h"

#include <algorithm>

namespace llamajit {

std::vector<jit::InputFormat> input_formats(Matrices matrices) {
  std::vector<jit::InputFormat> formats;
  for (const PackedMatrix* matrix : matrices) {
    const auto format = input_format(matrix->format);
    if (format && std::ranges::count(formats, *format) == 0) formats.push_back(*format);
  }
  return formats;
}

std::vector<std::vector<const PackedMatrix*>> matrix_inputs(const Weights& weights) {
  std::vector<std::vector<const PackedMatrix*>> inputs{{&weights.classifier}};
  for (const LayerWeights& l : weights.layers) {
    inputs.push_back({&l.wq, &l.wk, &l.wv});
    inputs.push_back({&l.wo});
    inputs.push_back({&l.gate_up});
    inputs.push_back({&l.down});
  }
  return inputs;
}

std::int64_t dealt_portion(const PackedMatrix& matrix) {
  constexpr std::int64_t kPortionBytes = 128 << 10;
  return std::max<std::int64_t>(1, kPortionBytes * matrix.units() / matrix.bytes());
}

}  // namespace llamajit
