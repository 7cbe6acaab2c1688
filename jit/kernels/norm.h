// Key, Args and contract of the norms.
#pragma once

#include <compare>
#include <cstdint>

namespace llamajit::jit {

enum class NormKind : std::uint8_t {
  rms,    // out = x / sqrt(mean(x^2) + eps) * weight   (RMSNorm, arXiv:1910.07467)
  layer,  // out = fma(d / sqrt(mean(d^2) + eps), weight, bias), d = x - mean(x)   (LayerNorm,
          // arXiv:1607.06450)
};

// Normalises each of some vectors that lie one behind the other, as the heads of a query do. Sums: sixteen
// lanes, whole vectors 4 ways, folded in halves; means are those divided by n. 1 / sqrt() is a factor.
struct NormArgs {
  const float* x;               // (vectors, n)
  const float* weight;          // (n)
  float* out;                   // (vectors, n), may be x
  const float* bias = nullptr;  // (n), layer only
  std::int64_t vectors = 1;     // >= 1
};
struct NormKey {
  using Args = NormArgs;
  int n;
  float eps;
  NormKind kind = NormKind::rms;
  auto operator<=>(const NormKey&) const = default;
};

}  // namespace llamajit::jit
