#include "runtime/forward/token_costs.h"

#include <algorithm>
#include <cmath>

#include "jit/kernels/kv_layout.h"
#include "runtime/forward/layer_states.h"

namespace llamajit {
namespace {

// Without what stands between its blocks.
std::int64_t bytes_of(const Tensor& tensor) {
  if (tensor.block == 0) return static_cast<std::int64_t>(tensor.bytes());
  return static_cast<std::int64_t>(tensor.bytes()) / source(tensor).rows * tensor.rows;
}

// Of an embedding a token reads a row.
std::int64_t row_bytes(const Tensor& tensor) {
  return tensor.exists() ? bytes_of(tensor) / tensor.rows : 0;
}

std::int64_t unchosen_bytes(const LayerTensors& tensors, const jit::RouteKey& route) {
  std::int64_t bytes = 0;
  for (const Tensor* const experts : {&tensors.gate, &tensors.up, &tensors.down, &tensors.gate_biases,
                                      &tensors.up_biases, &tensors.down_biases}) {
    if (experts->exists()) bytes += bytes_of(*experts) / route.experts * (route.experts - route.used);
  }
  return bytes;
}

}  // namespace

TokenCosts token_costs(const ModelFile& file, jit::ElementType kv_type) {
  const Config& config = file.config;
  TokenCosts costs;
  for (const Tensor* const tensor : file.tensors()) costs.weights += bytes_of(*tensor);
  for (const Tensor* const table :
       {&file.embedding, &file.positions, &file.token_types, &file.layer_inputs}) {
    const bool multiplies = table == &file.embedding && config.shared_classifier && config.causal;
    if (table->exists() && !multiplies) costs.weights += row_bytes(*table) - bytes_of(*table);
  }
  costs.states = LayerStates(config).bytes();
  for (std::size_t i = 0; i < file.layers.size(); ++i) {
    const LayerShape& shape = config.layer(i);
    if (shape.has_experts()) costs.weights -= unchosen_bytes(file.layers[i], shape.route);
    if (!shape.owns_kv()) continue;
    const jit::KvLayout layout(kv_type, shape.head_dim());
    const std::int64_t bytes =
        (layout.keys_bytes() + layout.values_bytes()) / jit::kKvPage * shape.n_kv_heads;
    if (shape.window > 0) {
      costs.windows += bytes * std::min(shape.window, config.seq_len);
    } else {
      costs.per_position += bytes;
    }
  }
  return costs;
}

double experts_touched(const jit::RouteKey& route, int tokens) {
  const double missed = 1 - static_cast<double>(route.used) / route.experts;
  return route.experts * (1 - std::pow(missed, tokens));
}

}  // namespace llamajit
