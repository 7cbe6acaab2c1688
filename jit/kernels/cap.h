// Key, Args and contract of the soft cap on logits.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

// x = cap * tanh(x / cap) in [begin, end), in place (Gemma 2, arXiv:2408.00118), as
// cap - (2 cap) / (1 + exp(x * (2 / cap))), each step rounded.
struct CapArgs {
  float* x;
  std::int64_t begin;
  std::int64_t end;

  static constexpr auto fields() {
    return Fields{
        field<&CapArgs::x>("(n)"),
        field<&CapArgs::begin>("a multiple of 16"),
        field<&CapArgs::end>("> begin; n, or a multiple of 16"),
    };
  }
};
struct CapKey {
  using Args = CapArgs;
  int n;  // of the whole vector
  float cap;
  auto operator<=>(const CapKey&) const = default;

  static constexpr auto fields() { return fields_of<&CapKey::n, &CapKey::cap>(); }
};

}  // namespace llamajit::jit
