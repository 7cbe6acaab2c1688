#include "jit/formats/error_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "jit/base/scalar_math.h"

namespace llamajit::jit {
namespace {

constexpr float kLeast = 0x1p-30F;
constexpr double kShareOfMean = 0.25;

// Without an importance matrix, too. Errors that are the least in themselves make a row's products smaller, by the
// square of the relative error: 7 % in Q2_K and 2 % in Q3_K, where large weights' errors must count more; with four
// bits 0.5 %, where that makes no difference to a model's predictions. Formats of grids and those with two tables let
// their scales grow instead.
bool sizes_count_anyway(const FormatTraits& traits) {
  return traits.entry == 1 && traits.lift == 0 && traits.bits <= 3;
}

}  // namespace

const float* ErrorWeights::of(const FormatTraits& traits, const float* importance, const float* x) {
  const int n = traits.group;
  const bool has_importance =
      importance != nullptr && std::any_of(importance, importance + n, [](float w) { return w > 0; });
  if (!has_importance && !sizes_count_anyway(traits)) return nullptr;
  for (int i = 0; i < n; ++i) w_[i] = has_importance ? importance[i] : 1;
  if (traits.entry == 1) multiply_by_sizes(x, n);
  return over_mean(n);
}

void ErrorWeights::multiply_by_sizes(const float* x, int n) {
  double squares = 0;
  for (int i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (int i = 0; i < n; ++i) {
    const double weight = x[i];
    w_[i] *= std::sqrt(kShareOfMean * squares / n + weight * weight);
  }
}

const float* ErrorWeights::over_mean(int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += w_[i];
  if (sum == 0) return nullptr;
  // Weights that count for nothing may have a subgroup to themselves, which is fitted to them then.
  for (int i = 0; i < n; ++i) over_mean_[i] = max2(static_cast<float>(w_[i] / sum * n), kLeast);
  return over_mean_;
}

std::vector<float> error_weights_of_row(const FormatTraits& traits, const float* x, std::int64_t n,
                                        const float* importance) {
  std::vector<float> row;
  if (importance == nullptr) return row;
  row.assign(static_cast<std::size_t>(n), 1.0F);
  ErrorWeights weights;
  for (std::int64_t first = 0; first < n; first += traits.group) {
    const float* const w = weights.of(traits, importance + first, x + first);
    if (w != nullptr) std::copy_n(w, traits.group, row.begin() + first);
  }
  return row;
}

}  // namespace llamajit::jit
