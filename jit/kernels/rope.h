// Key, Args and contract of the rotary position embedding.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// Rotates pairs (2i, 2i+1) of each head by the position's angles (RoPE, arXiv:2104.09864):
// out = fma(swap(x), sin, x * cos), swap exchanging the pair's two, sin negative for the first of it. Token t
// stands at position at[t].pos.
struct RopeArgs {
  const float* x;  // (n_tokens, n_heads, head_dim)
  float* out;      // the same, may be x
  // (positions, 2, head_dim): cos, then signed sin, each value twice, once a lane of the pair
  const float* table;
  const Cursor* at;               // (n_tokens)
  std::int64_t n_heads;           // >= 1
  std::int64_t n_tokens = 1;      // >= 1
  std::int64_t token_stride = 0;  // floats from a token's first head to the next one's
};
struct RopeKey {
  using Args = RopeArgs;
  int head_dim;  // even
  auto operator<=>(const RopeKey&) const = default;
};

}  // namespace llamajit::jit
