// Key, Args and contract of the rotary position embedding.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// Rotates pairs (2i, 2i+1) of each head by the position's angles (RoPE, arXiv:2104.09864):
// out = fma(swap(x), sin, x * cos), swap exchanging the pair's two, sin negative for the first of it. Token t
// stands at position at[t].pos.
struct RopeArgs {
  const float* x;
  float* out;
  const float* table;
  const Cursor* at;
  std::int64_t n_heads;
  std::int64_t n_tokens = 1;
  std::int64_t token_stride = 0;

  static constexpr auto fields() {
    return Fields{
        field<&RopeArgs::x>("(n_tokens, n_heads, head_dim)"),
        field<&RopeArgs::out>("as x, may be x"),
        field<&RopeArgs::table>(
            "(positions, 2, head_dim): cos, then signed sin, each value twice, once a lane of the pair"),
        field<&RopeArgs::at>("(n_tokens)"),
        field<&RopeArgs::n_heads>(">= 1"),
        field<&RopeArgs::n_tokens>(">= 1"),
        field<&RopeArgs::token_stride>("floats from a token's first head to the next one's"),
    };
  }
};
struct RopeKey {
  using Args = RopeArgs;
  int head_dim;  // even
  auto operator<=>(const RopeKey&) const = default;

  static constexpr auto fields() { return fields_of<&RopeKey::head_dim>(); }
};

}  // namespace llamajit::jit
