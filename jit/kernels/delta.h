// Key, Args and contract of the gated delta rule.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"
#include "jit/base/lanes.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// The recurrence of one value head of a gated delta net (arXiv:2412.06464) over consecutive tokens of one
// sequence. Its state S (key_dim, value_dim) maps keys to values: it forgets, then learns by how much it is
// wrong about k, then is asked for q. For each token and column j of S:
//   S[i] = S[i] * decay, m = sum over i of k[i] * S[i], d = (v[j] - m) * rate, S[i] = S[i] + k[i] * d,
//   out[j] = sum over i of q[i] * S[i].
// Each product with decay or rate, and v[j] - m, is rounded; k[i] * d is added by fma, and so are the terms
// of both sums, to one accumulator that begins with 0, i ascending. Tokens one by one give the same bits.
struct DeltaArgs {
  const float* q;
  const float* k;
  const float* v;
  const float* decay;
  const float* rate;
  float* out;
  const Cursor* at;
  std::int64_t state_at;
  std::int64_t n_tokens = 1;
  std::int64_t qk_stride = 0;
  std::int64_t v_stride = 0;
  std::int64_t gate_stride = 0;
  std::int64_t out_stride = 0;

  static constexpr auto fields() {
    return Fields{
        field<&DeltaArgs::q>("(n_tokens, key_dim), scaled"),
        field<&DeltaArgs::k>("(n_tokens, key_dim)"),
        field<&DeltaArgs::v>("(n_tokens, value_dim)"),
        field<&DeltaArgs::decay>("(n_tokens), this head's"),
        field<&DeltaArgs::rate>("(n_tokens), this head's"),
        field<&DeltaArgs::out>("(n_tokens, value_dim), none of the others"),
        field<&DeltaArgs::at>("the first token's; at->state + state_at is S, state_floats() of the key"),
        field<&DeltaArgs::state_at>("bytes"),
        field<&DeltaArgs::n_tokens>(">= 1"),
        field<&DeltaArgs::qk_stride>("floats from a token's q, and k, to the next one's"),
        field<&DeltaArgs::v_stride>("floats from a token's v to the next one's"),
        field<&DeltaArgs::gate_stride>("floats from a token's decay, and rate, to the next one's"),
        field<&DeltaArgs::out_stride>("floats from a token's out to the next one's"),
    };
  }
};
// S lies in tiles of sixteen columns, (tiles, key_dim, 16): what a kernel works on at a time is contiguous,
// so that it does not crowd into a few sets of the cache. Columns beyond value_dim are as if v was 0 there.
struct DeltaKey {
  using Args = DeltaArgs;
  int key_dim;
  int value_dim;
  auto operator<=>(const DeltaKey&) const = default;

  static constexpr auto fields() { return fields_of<&DeltaKey::key_dim, &DeltaKey::value_dim>(); }

  std::int64_t state_floats() const { return key_dim * round_up(value_dim, kLanes); }
  // Where S[i][j] is.
  std::int64_t place(int i, int j) const {
    return (std::int64_t{j} / kLanes * key_dim + i) * kLanes + j % kLanes;
  }
};

}  // namespace llamajit::jit
