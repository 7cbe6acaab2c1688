#include "runtime/forward/layer_states.h"

namespace llamajit {

jit::ConvKey conv_key(const DeltaNet& delta) {
  return {delta.channels(), delta.taps};
}

jit::DeltaKey delta_key(const DeltaNet& delta) {
  return {delta.key_dim, delta.value_dim};
}

LayerStates::LayerStates(const Config& config) {
  constexpr std::int64_t kFloat = sizeof(float);
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    Layer& layer = layers_.emplace_back(Layer{bytes_, bytes_, 0});
    if (!shape.is_linear()) continue;
    layer.heads_at += conv_key(shape.delta).state_floats() * kFloat;
    layer.head_bytes = delta_key(shape.delta).state_floats() * kFloat;
    bytes_ = layer.heads_at + shape.delta.value_heads * layer.head_bytes;
  }
}

}  // namespace llamajit
