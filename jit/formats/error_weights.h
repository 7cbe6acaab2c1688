// How much the errors of weights count where they are quantised.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/formats/format.h"

namespace llamajit::jit {

// A column's importance, and more for large weights. Columns have one importance for all rows, though a row's output has
// errors of its other weights, too: large ones made it what it is. Where there are few levels, that is worth more than the
// importances alone (docs/quantizing.md).
class ErrorWeights {
 public:
  // Of a group, over their mean, so that sums of any of them are floats of a good size; nullptr where all weights count
  // alike. They live until the next call. Without an importance matrix `importance` is nullptr.
  const float* of(const FormatTraits& traits, const float* importance, const float* x);

 private:
  void multiply_by_sizes(const float* x, int n);
  const float* over_mean(int n);

  double w_[Group::kMost];
  float over_mean_[Group::kMost];
};

// Of all weights of a row of `n`, a whole number of groups; none without importances.
std::vector<float> error_weights_of_row(const FormatTraits& traits, const float* x, std::int64_t n,
                                        const float* importance);

}  // namespace llamajit::jit
