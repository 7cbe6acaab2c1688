// Key, Args and contract of the sampler's softmax.
#pragma once

#include <compare>

namespace llamajit::jit {

// x = softmax(x * scale) in place, n >= 1: exp(x*scale - max), divided by the sum (sixteen lanes in order,
// folded).
struct SoftmaxArgs {
  float* x;  // (n)
  float scale;
};
struct SoftmaxKey {
  using Args = SoftmaxArgs;
  int n;
  auto operator<=>(const SoftmaxKey&) const = default;
};

}  // namespace llamajit::jit
