// Key, Args and contract of the search for the likeliest token.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

// best = the first position in [begin, end) of the largest x, and that x; -infinity at `begin` if none is
// greater than -infinity (all NaN). Slices of a vector merge into the whole's result: the greater x wins, the
// earlier on a tie.
struct Best {
  float value;
  std::int32_t index;
};
struct ArgmaxArgs {
  const float* x;
  Best* best;
  std::int64_t begin;
  std::int64_t end;

  static constexpr auto fields() {
    return Fields{
        field<&ArgmaxArgs::x>("(n)"),
        field<&ArgmaxArgs::best>("(1)"),
        field<&ArgmaxArgs::begin>("a multiple of 16"),
        field<&ArgmaxArgs::end>("> begin; n, or a multiple of 16"),
    };
  }
};
struct ArgmaxKey {
  using Args = ArgmaxArgs;
  int n;  // of the whole vector
  auto operator<=>(const ArgmaxKey&) const = default;

  static constexpr auto fields() { return fields_of<&ArgmaxKey::n>(); }
};

}  // namespace llamajit::jit
