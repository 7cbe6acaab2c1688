// Key, Args and contract of the search for the likeliest token.
#pragma once

#include <compare>
#include <cstdint>

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
  std::int64_t begin;  // a multiple of 16
  std::int64_t end;    // > begin; the vector's own, or a multiple of 16
};
struct ArgmaxKey {
  using Args = ArgmaxArgs;
  int n;  // of the whole vector
  auto operator<=>(const ArgmaxKey&) const = default;
};

}  // namespace llamajit::jit
