// Key, Args and contract of a copy.
#pragma once

#include <compare>

#include "jit/base/fields.h"

namespace llamajit::jit {

// out = x: a row of floats to where the rows of its expert stand.
struct CopyArgs {
  const float* x;
  float* out;

  static constexpr auto fields() { return Fields{field<&CopyArgs::x>("(n)"), field<&CopyArgs::out>("(n)")}; }
};
struct CopyKey {
  using Args = CopyArgs;
  int n;
  auto operator<=>(const CopyKey&) const = default;

  static constexpr auto fields() { return fields_of<&CopyKey::n>(); }
};

}  // namespace llamajit::jit
