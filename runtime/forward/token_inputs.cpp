// What layers get from a single token's embedding.
#include <algorithm>

#include "jit/kernels/embed.h"
#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

// The token's own embedding of it, and the norm of what a matrix takes from the stream's, for all layers.
void TokenProgram::Writer::layer_inputs() {
  const Config& c = m_.config;
  const int all = c.layer_input_dim * c.n_layers;
  if (thread_ == 0) {
    const PackedMatrix& table = m_.weights.layer_inputs;
    call(Role::embed, jit::EmbedKey{table.format, all, layer_input_scale(c)},
         jit::EmbedArgs{table.data, s_.inputs, cursor()});
  }
  input_ = {s_.x, c.dim, {}};
  const PackedMatrix& matrix = m_.weights.layer_input_matrix;
  matvec(Role::layer_inputs, matrix, share(matrix), Epilogue::store, s_.projected);
  meet();
  const auto [begin, end] = share(c.n_layers);
  if (begin < end) {
    const std::int64_t at = begin * c.layer_input_dim;
    call(Role::layer_input_norm, jit::NormKey{.n = c.layer_input_dim, .eps = c.norm_eps, .adds = true},
         jit::NormArgs{s_.projected + at, m_.weights.layer_input_norm, s_.inputs + at, nullptr, end - begin});
  }
  meet();
}

void TokenProgram::Writer::take_input(const LayerShape& shape, const LayerWeights& w) {
  const int n = m_.config.layer_input_dim;
  input_ = {s_.x, shape.dim, {}};
  const Share units = share(w.input_gate);
  matvec(Role::input_gate, w.input_gate, units, Epilogue::gelu, s_.input_hidden);
  if (units.first < units.second) {
    call(Role::gate, jit::GateKey{n, jit::GateKind::factor},
         jit::GateArgs{s_.input_hidden, s_.inputs + std::int64_t{layer_} * n, s_.input_hidden,
                       units.first * jit::kLanes, std::min<std::int64_t>(units.second * jit::kLanes, n)});
  }
  meet();
  add_branch(kInputBranch, shape, nullptr, s_.input_hidden, w.input_down, w.input_norm);
}

void TokenProgram::Writer::scale_stream(const LayerShape& shape, const LayerWeights& w) {
  const auto [begin, end] = share(jit::divide_up(shape.dim, jit::kLanes));
  if (begin < end) {
    call(Role::scale_stream, jit::GateKey{shape.dim, jit::GateKind::factor},
         jit::GateArgs{s_.x, w.output_scale, s_.x, begin * jit::kLanes,
                       std::min<std::int64_t>(end * jit::kLanes, shape.dim)});
  }
  meet();
}

}  // namespace llamajit
