// A delta net and the rows of a step.
#include <cstddef>
#include <utility>

#include "jit/kernels/conv.h"
#include "jit/kernels/decay.h"
#include "jit/kernels/delta.h"
#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

void RowsProgram::Writer::project_delta(const LayerWeights& w) {
  multiply(Role::delta_input, w.wq, Epilogue::store, s_.mixed);
  multiply(Role::att_gate, w.att_gate, Epilogue::store, s_.gate);
  multiply(Role::delta_decay, w.delta.decay, Epilogue::store, s_.decay);
  multiply(Role::delta_rate, w.delta.rate, Epilogue::store, s_.rate);
  meet();
}

void RowsProgram::Writer::recur(const LayerShape& shape, const LayerWeights& w) {
  const DeltaNet& delta = shape.delta;
  const auto key_heads = share(delta.key_heads), heads = share(delta.value_heads);
  for (const Share& channels : channels_of(delta)) convolve(delta, w, channels);
  norm_keys(shape, w, key_heads);
  const std::int64_t gates = row_stride(delta.value_heads) * kFloat;
  each_row(call(Role::decay, jit::DecayKey{delta.value_heads},
                jit::DecayArgs{s_.decay, w.delta.decay_bias, w.delta.a, s_.rate, s_.decay, s_.rate}),
           members({{offsetof(jit::DecayArgs, alpha), gates},
                    {offsetof(jit::DecayArgs, beta), gates},
                    {offsetof(jit::DecayArgs, decay), gates},
                    {offsetof(jit::DecayArgs, rate), gates}}));
  meet();
  for (std::int64_t head = heads.first; head < heads.second; ++head) {
    recur_head(delta, static_cast<int>(head));
  }
  const std::int64_t n = heads.second - heads.first;
  if (n == 0) return;
  const std::int64_t stride = row_stride(delta.values()) * kFloat;
  float* const out = s_.att + heads.first * delta.value_dim;
  all_rows(call(Role::delta_norm, jit::NormKey{delta.value_dim, shape.norm_eps},
                jit::NormArgs{out, w.delta.norm, out, nullptr, n}),
           members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
  Step& step = gate(jit::GateKind::silu, delta.values(), heads.first * delta.value_dim, n * delta.value_dim);
  step.part = 0;
  step.parts = 1;
}

void RowsProgram::Writer::convolve(const DeltaNet& delta, const LayerWeights& w, const Share& channels) {
  const auto [begin, end] = channels;
  if (begin == end) return;
  const std::int64_t stride = row_stride(delta.channels());
  runs(call(Role::convolve, conv_key(delta),
            jit::ConvArgs{s_.mixed, s_.convolved, w.delta.conv, cursor(),
                          m_.cache.states().conv_at(layer_index()), begin, end, 1, stride}),
       members({{offsetof(jit::ConvArgs, x), stride * kFloat},
                {offsetof(jit::ConvArgs, out), stride * kFloat},
                kCursor<jit::ConvArgs>}),
       offsetof(jit::ConvArgs, n_tokens));
}

void RowsProgram::Writer::norm_keys(const LayerShape& shape, const LayerWeights& w, const Share& heads) {
  const std::int64_t n = heads.second - heads.first;
  if (n == 0) return;
  const std::int64_t stride = row_stride(shape.delta.channels()) * kFloat;
  const RowMembers rows =
      members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}});
  float* const q = s_.convolved + heads.first * shape.delta.key_dim;
  float* const k = q + shape.delta.keys();
  all_rows(call(Role::q_norm, l2_norm(shape), jit::NormArgs{q, w.delta.query_norm, q, nullptr, n}), rows);
  all_rows(call(Role::k_norm, l2_norm(shape), jit::NormArgs{k, w.delta.key_norm, k, nullptr, n}), rows);
}

void RowsProgram::Writer::recur_head(const DeltaNet& delta, int head) {
  const float* const q = s_.convolved + delta.key_head(head) * delta.key_dim;
  const std::int64_t at = std::int64_t{head} * delta.value_dim;
  const std::int64_t channels = row_stride(delta.channels());
  const std::int64_t gates = row_stride(delta.value_heads), values = row_stride(delta.values());
  runs(call(Role::delta, delta_key(delta),
            jit::DeltaArgs{q, q + delta.keys(), s_.convolved + 2 * delta.keys() + at, s_.decay + head,
                           s_.rate + head, s_.att + at, cursor(),
                           m_.cache.states().head_at(layer_index(), head), 1, channels, channels, gates,
                           values}),
       members({{offsetof(jit::DeltaArgs, q), channels * kFloat},
                {offsetof(jit::DeltaArgs, k), channels * kFloat},
                {offsetof(jit::DeltaArgs, v), channels * kFloat},
                {offsetof(jit::DeltaArgs, decay), gates * kFloat},
                {offsetof(jit::DeltaArgs, rate), gates * kFloat},
                {offsetof(jit::DeltaArgs, out), values * kFloat},
                kCursor<jit::DeltaArgs>}),
       offsetof(jit::DeltaArgs, n_tokens));
}

Step& RowsProgram::Writer::gate(jit::GateKind kind, int row, std::int64_t first, std::int64_t n) {
  const std::int64_t stride = row_stride(row) * kFloat;
  float* const x = s_.att + first;
  Step& step =
      call(Role::gate, jit::GateKey{static_cast<int>(n), kind}, jit::GateArgs{x, s_.gate + first, x, 0, n});
  each_row(step, members({{offsetof(jit::GateArgs, x), stride},
                          {offsetof(jit::GateArgs, gates), stride},
                          {offsetof(jit::GateArgs, out), stride}}));
  return step;
}

}  // namespace llamajit
