// What layers get from the embeddings of a step's rows.
#include <cstddef>

#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

void RowsProgram::Writer::layer_inputs() {
  const Config& c = m_.config;
  const int all = c.layer_input_dim * c.n_layers;
  embed(m_.weights.layer_inputs, all, layer_input_scale(c), jit::EmbedRow::token, s_.inputs);
  prepare(s_.x, c.dim, {&m_.weights.layer_input_matrix});
  meet();
  multiply(Role::layer_inputs, m_.weights.layer_input_matrix, Epilogue::store, s_.projected);
  meet();
  const std::int64_t stride = row_stride(all) * kFloat;
  each_row(call(Role::layer_input_norm, jit::NormKey{.n = c.layer_input_dim, .eps = c.norm_eps, .adds = true},
                jit::NormArgs{s_.projected, m_.weights.layer_input_norm, s_.inputs, nullptr, c.n_layers}),
           members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
  meet();
}

void RowsProgram::Writer::take_hidden() {
  const Config& c = m_.config;
  const Weights& w = m_.weights;
  const auto norm_half = [&](Role role, const float* x, const NormWeights& norm, float* half) {
    each_row(call(role, jit::NormKey{c.dim, c.norm_eps, c.norm}, jit::NormArgs{x, norm.weight, half}),
             members({{offsetof(jit::NormArgs, x), row_stride(c.dim) * kFloat},
                      {offsetof(jit::NormArgs, out), row_stride(2 * c.dim) * kFloat}}));
  };
  norm_half(Role::token_norm, s_.x, w.token_norm, s_.joined);
  norm_half(Role::hidden_norm, s_.given, w.hidden_norm, s_.joined + c.dim);
  prepare(s_.joined, 2 * c.dim, {&w.input_projection});
  meet();
  multiply(Role::input_projection, w.input_projection, Epilogue::store, s_.x);
  meet();
}

void RowsProgram::Writer::take_input(const LayerShape& shape, const LayerWeights& w) {
  const int n = m_.config.layer_input_dim;
  prepare(s_.x, shape.dim, {&w.input_gate});
  meet();
  multiply(Role::input_gate, w.input_gate, Epilogue::gelu, s_.input_hidden);
  meet();
  const std::int64_t stride = row_stride(n) * kFloat;
  each_row(call(Role::gate, jit::GateKey{n, jit::GateKind::factor},
                jit::GateArgs{s_.input_hidden, s_.inputs + std::int64_t{layer_} * n, s_.input_hidden, 0, n}),
           members({{offsetof(jit::GateArgs, x), stride},
                    {offsetof(jit::GateArgs, gates), row_stride(n * m_.config.n_layers) * kFloat},
                    {offsetof(jit::GateArgs, out), stride}}));
  meet();
  add_branch(kInputBranch, shape, nullptr, s_.input_hidden, w.input_down, w.input_norm);
}

void RowsProgram::Writer::scale_stream(const LayerShape& shape, const LayerWeights& w) {
  const std::int64_t stride = row_stride(shape.dim) * kFloat;
  each_row(call(Role::scale_stream, jit::GateKey{shape.dim, jit::GateKind::factor},
                jit::GateArgs{s_.x, w.output_scale, s_.x, 0, shape.dim}),
           members({{offsetof(jit::GateArgs, x), stride}, {offsetof(jit::GateArgs, out), stride}}));
  meet();
}

}  // namespace llamajit
