// A delta net and a single token.
#include <utility>

#include "jit/kernels/conv.h"
#include "jit/kernels/decay.h"
#include "jit/kernels/delta.h"
#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

void TokenProgram::Writer::project_delta(const LayerWeights& w) {
  matvec_dealt(Role::delta_input, w.wq, Epilogue::store, s_.mixed);
  matvec_dealt(Role::att_gate, w.att_gate, Epilogue::store, s_.gate);
  matvec(Role::delta_decay, w.delta.decay, share(w.delta.decay), Epilogue::store, s_.decay);
  matvec(Role::delta_rate, w.delta.rate, share(w.delta.rate), Epilogue::store, s_.rate);
  meet();
}

void TokenProgram::Writer::recur(const LayerShape& shape, const LayerWeights& w) {
  const DeltaNet& delta = shape.delta;
  const Share key_heads = share(delta.key_heads), heads = share(delta.value_heads);
  for (const Share& channels : channels_of(delta)) convolve(delta, w, channels);
  norm_keys(shape, w, key_heads);
  if (thread_ == 0) {
    call(Role::decay, jit::DecayKey{delta.value_heads},
         jit::DecayArgs{s_.decay, w.delta.decay_bias, w.delta.a, s_.rate, s_.decay, s_.rate});
  }
  meet();
  for (std::int64_t head = heads.first; head < heads.second; ++head) {
    const float* const q = s_.convolved + delta.key_head(static_cast<int>(head)) * delta.key_dim;
    const std::int64_t at = head * delta.value_dim;
    call(Role::delta, delta_key(delta),
         jit::DeltaArgs{q, q + delta.keys(), s_.convolved + 2 * delta.keys() + at, s_.decay + head,
                        s_.rate + head, s_.att + at, cursor(),
                        m_.cache.states().head_at(layer_index(), head)});
  }
  const std::int64_t n = heads.second - heads.first;
  if (n == 0) return;
  const auto values = static_cast<int>(n * delta.value_dim);
  float* const out = s_.att + heads.first * delta.value_dim;
  call(Role::delta_norm, jit::NormKey{delta.value_dim, shape.norm_eps},
       jit::NormArgs{out, w.delta.norm, out, nullptr, n});
  call(Role::gate, jit::GateKey{values, jit::GateKind::silu},
       jit::GateArgs{out, s_.gate + heads.first * delta.value_dim, out, 0, values});
}

void TokenProgram::Writer::convolve(const DeltaNet& delta, const LayerWeights& w, const Share& channels) {
  const auto [begin, end] = channels;
  if (begin == end) return;
  call(Role::convolve, conv_key(delta),
       jit::ConvArgs{s_.mixed, s_.convolved, w.delta.conv, cursor(), m_.cache.states().conv_at(layer_index()),
                     begin, end});
}

void TokenProgram::Writer::norm_keys(const LayerShape& shape, const LayerWeights& w, Share heads) {
  const std::int64_t n = heads.second - heads.first;
  if (n == 0) return;
  float* const q = s_.convolved + heads.first * shape.delta.key_dim;
  float* const k = q + shape.delta.keys();
  call(Role::q_norm, l2_norm(shape), jit::NormArgs{q, w.delta.query_norm, q, nullptr, n});
  call(Role::k_norm, l2_norm(shape), jit::NormArgs{k, w.delta.key_norm, k, nullptr, n});
}

}  // namespace llamajit
