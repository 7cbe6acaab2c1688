// Key, Args and contract of the sampler's softmax.
#pragma once

#include <compare>

#include "jit/base/fields.h"

namespace llamajit::jit {

// x = softmax(x * scale) in place, n >= 1: exp(x*scale - max), divided by the sum (sixteen lanes in order,
// folded).
struct SoftmaxArgs {
  float* x;
  float scale;

  static constexpr auto fields() {
    return Fields{
        field<&SoftmaxArgs::x>("(n)"),
        field<&SoftmaxArgs::scale>("what x is multiplied by"),
    };
  }
};
struct SoftmaxKey {
  using Args = SoftmaxArgs;
  int n;
  auto operator<=>(const SoftmaxKey&) const = default;

  static constexpr auto fields() { return fields_of<&SoftmaxKey::n>(); }
};

}  // namespace llamajit::jit
