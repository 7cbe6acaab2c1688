// Key, Args and contract of the gates of a gated delta net.
#pragma once

#include <compare>

#include "jit/base/fields.h"

namespace llamajit::jit {

// How much each head keeps and how much it learns at a token (arXiv:2412.06464):
// decay = exp(a * softplus(alpha + dt)), rate = 1 / (1 + exp(-beta)), each step rounded;
// softplus(x) = max(log(1 + exp(min(x, 20))), x).
struct DecayArgs {
  const float* alpha;
  const float* dt;
  const float* a;
  const float* beta;
  float* decay;
  float* rate;

  static constexpr auto fields() {
    return Fields{
        field<&DecayArgs::alpha>("(heads)"),
        field<&DecayArgs::dt>("(heads), a bias"),
        field<&DecayArgs::a>("(heads), negative"),
        field<&DecayArgs::beta>("(heads)"),
        field<&DecayArgs::decay>("(heads), may be alpha"),
        field<&DecayArgs::rate>("(heads), may be beta"),
    };
  }
};
struct DecayKey {
  using Args = DecayArgs;
  int heads;
  auto operator<=>(const DecayKey&) const = default;

  static constexpr auto fields() { return fields_of<&DecayKey::heads>(); }
};

}  // namespace llamajit::jit
