// Key, Args and contract of the causal convolution before a gated delta net.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"
#include "jit/formats/activations.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

// A causal convolution over time, each channel alone: out[t] = silu(sum over j < taps of weights[j] *
// x[t - taps + 1 + j]) in [begin, end), for consecutive tokens t of one sequence. The sum begins with the
// oldest's product, rounded; the others follow by fma, the token's own last. x before the first token is the
// state, oldest first, which afterwards holds the last taps - 1 of all: tokens one by one give the same bits.
struct ConvArgs {
  const float* x;
  float* out;
  const float* weights;
  const Cursor* at;
  std::int64_t state_at;
  std::int64_t begin;
  std::int64_t end;
  std::int64_t n_tokens = 1;
  std::int64_t token_stride = 0;

  static constexpr auto fields() {
    return Fields{
        field<&ConvArgs::x>("(n_tokens, channels)"),
        field<&ConvArgs::out>("as x, may not be x"),
        field<&ConvArgs::weights>("(taps, row_stride(channels)), of the oldest first"),
        field<&ConvArgs::at>(
            "the first token's; at->state + state_at is (taps - 1, row_stride(channels)) floats"),
        field<&ConvArgs::state_at>("bytes"),
        field<&ConvArgs::begin>("a multiple of 16"),
        field<&ConvArgs::end>("> begin; channels, or a multiple of 16"),
        field<&ConvArgs::n_tokens>(">= 1"),
        field<&ConvArgs::token_stride>("floats from a token's first channel to the next one's, in x and out"),
    };
  }
};
struct ConvKey {
  using Args = ConvArgs;
  int channels;
  int taps;  // >= 1
  auto operator<=>(const ConvKey&) const = default;

  static constexpr auto fields() { return fields_of<&ConvKey::channels, &ConvKey::taps>(); }

  std::int64_t weights_floats() const { return taps * row_stride(channels); }
  std::int64_t state_floats() const { return (taps - 1) * row_stride(channels); }
};

}  // namespace llamajit::jit
