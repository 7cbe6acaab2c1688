#include "runtime/forward/lowering.h"

#include <algorithm>

namespace llamajit {

bool attends_in_parts(const Model& model, const LayerShape& shape) {
  return HeadDeal(shape, model.threads, model.split()).shares_heads() &&
         model.cache.context() > jit::kAttentionRange;
}

std::vector<jit::InputFormat> input_formats(Matrices matrices) {
  std::vector<jit::InputFormat> formats;
  for (const PackedMatrix* matrix : matrices) {
    if (!matrix->exists()) continue;
    const auto format = input_format(matrix->format);
    if (format && std::ranges::count(formats, *format) == 0) formats.push_back(*format);
  }
  return formats;
}

std::vector<std::vector<const PackedMatrix*>> matrix_inputs(const Weights& weights) {
  std::vector<std::vector<const PackedMatrix*>> inputs{
      {&weights.classifier}, {&weights.layer_input_matrix}, {&weights.input_projection}};
  for (const LayerWeights& l : weights.layers) {
    // Where attention and feed-forward share a norm, its matrices share an input.
    inputs.push_back({&l.wq, &l.wk, &l.wv, &l.att_gate, &l.delta.decay, &l.delta.rate, &l.gate_up});
    if (l.latent.q_down.exists()) inputs.back().front() = &l.latent.q_down;
    inputs.push_back({&l.wq});
    inputs.push_back({&l.latent.absorb});
    inputs.push_back({&l.latent.raise});
    inputs.push_back({&l.wo});
    inputs.push_back({&l.gate_up});
    inputs.push_back({&l.down});
    inputs.push_back({&l.input_gate});
    inputs.push_back({&l.input_down});
    if (l.router.exists()) inputs.push_back({&l.router});
    if (!l.shared_gate_up.exists()) continue;
    inputs.push_back({&l.router, &l.shared_gate_up});
    if (l.shared_router.exists()) inputs.back().push_back(&l.shared_router);
    inputs.push_back({&l.shared_down});
  }
  return inputs;
}

std::int64_t dealt_portion(const PackedMatrix& matrix) {
  constexpr std::int64_t kPortionBytes = 128 << 10;
  return std::max<std::int64_t>(1, kPortionBytes / matrix.unit_bytes());
}

}  // namespace llamajit
