// Key, Args and contract of the norms.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

enum class NormKind : std::uint8_t {
  rms,    // out = x / sqrt(mean(x^2) + eps) * weight   (RMSNorm, arXiv:1910.07467)
  layer,  // out = fma(d / sqrt(mean(d^2) + eps), weight, bias), d = x - mean(x)   (LayerNorm,
          // arXiv:1607.06450)
};

// Normalises each of some vectors that lie one behind the other, as the heads of a query do. Sums: sixteen
// lanes, whole vectors 4 ways, folded in halves; means are those divided by n. 1 / sqrt() is a factor.
// Where the key adds, out becomes out + the result, rounded once more.
struct NormArgs {
  const float* x;
  const float* weight;
  float* out;
  const float* bias = nullptr;
  std::int64_t vectors = 1;

  static constexpr auto fields() {
    return Fields{
        field<&NormArgs::x>("(vectors, n)"),
        field<&NormArgs::weight>("(n), where each vector has its own (vectors, n)"),
        field<&NormArgs::out>("(vectors, n), may be x unless the key adds"),
        field<&NormArgs::bias>("(n), where kind is layer"),
        field<&NormArgs::vectors>(">= 1"),
    };
  }
};
struct NormKey {
  using Args = NormArgs;
  int n;
  float eps;
  NormKind kind = NormKind::rms;
  bool own_weights = false;                          // each vector has weights of its own
  bool adds = false;                                 // to what stands in out
  auto operator<=>(const NormKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() {
    return fields_of<&NormKey::n, &NormKey::eps, &NormKey::kind, &NormKey::own_weights, &NormKey::adds>();
  }
};

}  // namespace llamajit::jit
