// Key, Args and contract of a gate on a vector.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "jit/base/fields.h"

namespace llamajit::jit {

enum class GateKind : std::uint8_t {
  sigmoid,  // 1 / (1 + exp(-x))
  silu,     // x / (1 + exp(-x))
  factor,   // x
};
std::string_view to_string(GateKind kind);  // "sigmoid"

// out = x * kind(gates) in [begin, end), each step rounded.
struct GateArgs {
  const float* x;
  const float* gates;
  float* out;
  std::int64_t begin;
  std::int64_t end;

  static constexpr auto fields() {
    return Fields{
        field<&GateArgs::x>("(n)"),
        field<&GateArgs::gates>("(n)"),
        field<&GateArgs::out>("(n), may be x or gates"),
        field<&GateArgs::begin>("a multiple of 16"),
        field<&GateArgs::end>("> begin; n, or a multiple of 16"),
    };
  }
};
struct GateKey {
  using Args = GateArgs;
  int n;  // of the whole vectors
  GateKind kind;
  auto operator<=>(const GateKey&) const = default;

  static constexpr auto fields() { return fields_of<&GateKey::n, &GateKey::kind>(); }
};

}  // namespace llamajit::jit
