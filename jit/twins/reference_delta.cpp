// The twins of the kernels of gated delta nets.
#include "jit/base/scalar_math.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

float* state_of(const Cursor& at, std::int64_t state_at) {
  return reinterpret_cast<float*>(at.state + state_at);
}

// One channel's sum at a token, whose input is `in`; the state, of this channel, moves on.
float convolve(const ConvKey& key, const float* weights, float* state, float in) {
  const std::int64_t row = row_stride(key.channels);
  float sum = 0;
  for (int tap = 0; tap < key.taps; ++tap) {
    const float value = tap < key.taps - 1 ? state[tap * row] : in;
    sum = tap == 0 ? weights[0] * value : fused(weights[tap * row], value, sum);
    if (tap > 0) state[(tap - 1) * row] = value;
  }
  return sum;
}

// One token in column j of S; what it gives for q.
float recur(const DeltaKey& key, const DeltaArgs& args, std::int64_t t, int j, float* state) {
  const float decay = args.decay[t * args.gate_stride];
  const float* k = args.k + t * args.qk_stride;
  const float* q = args.q + t * args.qk_stride;
  float m = 0, out = 0;
  for (int i = 0; i < key.key_dim; ++i) {
    float* const s = state + key.place(i, j);
    *s = *s * decay;
    m = fused(k[i], *s, m);
  }
  const float v = j < key.value_dim ? args.v[t * args.v_stride + j] : 0;
  const float d = (v - m) * args.rate[t * args.gate_stride];
  for (int i = 0; i < key.key_dim; ++i) {
    float* const s = state + key.place(i, j);
    *s = fused(k[i], d, *s);
    out = fused(q[i], *s, out);
  }
  return out;
}

}  // namespace

void reference(const ConvKey& key, const ConvArgs& args) {
  float* const state = state_of(*args.at, args.state_at);
  for (std::int64_t t = 0; t < args.n_tokens; ++t) {
    for (std::int64_t c = args.begin; c < args.end; ++c) {
      const std::int64_t i = t * args.token_stride + c;
      args.out[i] = silu(convolve(key, args.weights + c, state + c, args.x[i]));
    }
  }
}

void reference(const DecayKey& key, const DecayArgs& args) {
  for (int h = 0; h < key.heads; ++h) {
    args.decay[h] = exp_f32(args.a[h] * softplus(args.alpha[h] + args.dt[h]));
    args.rate[h] = sigmoid(args.beta[h]);
  }
}

void reference(const DeltaKey& key, const DeltaArgs& args) {
  float* const state = state_of(*args.at, args.state_at);
  for (std::int64_t t = 0; t < args.n_tokens; ++t) {
    for (int j = 0; j < round_up(key.value_dim, kLanes); ++j) {
      const float out = recur(key, args, t, j, state);
      if (j < key.value_dim) args.out[t * args.out_stride + j] = out;
    }
  }
}

void reference(const GateKey& key, const GateArgs& args) {
  for (std::int64_t i = args.begin; i < args.end; ++i) {
    const float gate = args.gates[i];
    args.out[i] = args.x[i] * (key.kind == GateKind::sigmoid ? sigmoid(gate)
                               : key.kind == GateKind::silu  ? silu(gate)
                                                             : gate);
  }
}

}  // namespace llamajit::jit
