#include "jit/formats/quantizer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/formats/error_weights.h"
#include "jit/formats/fit.h"
#include "jit/formats/grid_quantizer.h"
#include "jit/formats/lifted_quantizer.h"
#include "jit/formats/rows.h"

namespace llamajit::jit {
namespace {

// Integers that the formats' subscales and submins can be.
struct Range {
  int lowest;
  int highest;
};
Range factors_of(FormatKind kind) {
  switch (kind) {
    case FormatKind::q2_k:
      return {0, 15};
    case FormatKind::q4_k:
    case FormatKind::q5_k:
      return {0, 63};
    case FormatKind::q6_k:
      return {-128, 127};
    default:  // q3_k, iq4_xs
      return {-32, 31};
  }
}

// For every code that may be multiplied, the nearest one of the codebook, and its index.
struct CodebookTables {
  std::array<std::int8_t, 256> nearest{};  // less 128
  std::array<std::uint8_t, 256> index{};

  explicit CodebookTables(const Codebook& codebook) {
    const auto entries = std::span(codebook).first<16>();
    for (int i = 0; i < 256; ++i) {
      const auto best =
          std::ranges::min_element(entries, [i](int a, int b) { return std::abs(a - i) < std::abs(b - i); });
      nearest[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(*best - 128);
      index[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(best - entries.begin());
    }
  }
};
const CodebookTables& tables_of(const Codebook* codebook) {
  static const CodebookTables kIq4(kIq4Codebook), kFp4(kFp4Codebook);
  return codebook == &kFp4Codebook ? kFp4 : kIq4;
}

Levels levels_of(const FormatTraits& traits) {
  switch (traits.kind) {
    case FormatKind::q8_0:
      return {-127, 127};  // as everywhere: -128 has no opposite
    case FormatKind::tq1_0:
    case FormatKind::tq2_0:
    case FormatKind::i2_s:
      return {-1, 1};
    case FormatKind::mxfp4:
    case FormatKind::nvfp4: {
      static constexpr std::int8_t kMagnitudes[] = {0, 1, 2, 3, 4, 6, 8, 12};
      return {-12, 12, nullptr, kMagnitudes};
    }
    default:
      break;
  }
  if (traits.codebook != nullptr) return {-128, 127, tables_of(traits.codebook).nearest.data()};
  return {-traits.zero, (1 << traits.bits) - 1 - traits.zero};
}

float as_half(double x) {
  return half_to_float(float_to_half(static_cast<float>(x)));
}

// One group of a format.
class GroupQuantizer {
 public:
  // The importance is positive, with a mean near 1; or nullptr.
  GroupQuantizer(const FormatTraits& traits, const float* x, const float* importance, Group& to)
      : traits_(traits),
        levels_(jit::levels_of(traits)),
        factors_(factors_of(traits.kind)),
        x_(x),
        importance_(importance),
        to_(to) {}

  void quantize(float tensor_scale) {
    if (traits_.bits == 1) return take_signs();
    if (traits_.kind == FormatKind::i2_s) {
      take_levels({tensor_scale, 0}, 0);
    } else if (traits_.mins == Mins::each) {
      fit_subscales_and_submins();
    } else if (traits_.has_subscales()) {
      fit_subscales();
    } else if (traits_.mins == Mins::one) {
      const Line line = fit_line(x_, importance_, traits_.group, levels_.highest, false);
      to_.scale = as_half(line.scale);
      to_.min = as_half(line.min);
      take_levels({to_.scale, to_.min}, 0);
    } else if (traits_.kind == FormatKind::mxfp4) {
      to_.scale = fit_power_of_two(x_, importance_, traits_.group, levels_, -128);
      take_levels({to_.scale, 0}, 0);
    } else if (traits_.kind == FormatKind::nvfp4) {
      to_.scale = fit_stored_scale();
      take_levels({to_.scale, 0}, 0);
    } else {
      to_.scale = as_half(fit_scale(x_, importance_, traits_.group, levels_));
      take_levels({to_.scale, 0}, 0);
    }
    store_codes();
  }

 private:
  int subgroups() const { return traits_.group / traits_.subgroup; }
  const float* weights(int subgroup) const { return x_ + subgroup * traits_.subgroup; }
  const float* importances(int subgroup) const {
    return importance_ == nullptr ? nullptr : importance_ + subgroup * traits_.subgroup;
  }
  std::int8_t* levels(int subgroup) { return level_ + subgroup * traits_.subgroup; }

  // The sum of squared errors, times importance.
  float take_levels(Line line, int subgroup) {
    return nearest_levels(weights(subgroup), importances(subgroup), traits_.subgroup, line, levels_,
                          levels(subgroup));
  }
  Moments moments_of(int subgroup) {
    return moments(weights(subgroup), importances(subgroup), levels(subgroup), traits_.subgroup);
  }

  // Of scales that a file can hold, the best one of those nearest to the best of all, to that times a little, and to those
  // that bring the largest weight onto a level. None, where all are beyond what it can hold.
  float fit_stored_scale() {
    constexpr float kStep = 1.0F / 16;  // half of the largest between neighbours
    float least = std::numeric_limits<float>::infinity(), found = std::numeric_limits<float>::quiet_NaN();
    const auto attempt = [&](float scale) {
      std::byte block[kStoredBytes];
      to_.scale = scale;
      join_block(traits_.kind, to_, block);
      split_block(traits_.kind, block, to_);
      const float error = take_levels({to_.scale, 0}, 0);
      if (!(error < least)) return;
      least = error;
      found = to_.scale;
    };
    const float best = fit_scale(x_, importance_, traits_.group, levels_);
    for (const float factor : {1.0F, 1 - kStep, 1 + kStep}) attempt(best * factor);
    float largest = 0;
    for (int i = 0; i < traits_.group; ++i) largest = max2(std::abs(x_[i]), largest);
    for (const int level : levels_.magnitudes.subspan(1)) attempt(largest / static_cast<float>(level));
    return found;
  }

  // Codes 0 and 2; the best scale is the mean magnitude.
  void take_signs() {
    double sum = 0, count = 0;
    for (int i = 0; i < traits_.group; ++i) {
      to_.codes[i] = x_[i] < 0 ? 0 : 2;
      const double w = importance_ == nullptr ? 1 : importance_[i];
      sum += w * std::abs(x_[i]);
      count += w;
    }
    to_.scale = as_half(sum / count);
  }

  int factor_of(float part, float whole) const {
    if (whole == 0) return 0;
    const float bounded =
        min2(max2(part / whole, static_cast<float>(factors_.lowest)), static_cast<float>(factors_.highest));
    return static_cast<int>(std::lround(bounded));
  }

  // The best of a factor and its neighbours, by the levels that each leads to.
  void choose_subscale(int subgroup, int first) {
    float least = 0;
    int best = 0;
    for (int factor = std::max(first - 1, factors_.lowest); factor <= std::min(first + 1, factors_.highest);
         ++factor) {
      const float error = take_levels({to_.scale * static_cast<float>(factor), 0}, subgroup);
      if (factor > std::max(first - 1, factors_.lowest) && !(error < least)) continue;
      least = error;
      best = factor;
    }
    to_.subscales[subgroup] = static_cast<std::int8_t>(best);
  }

  void fit_subscales() {
    float scales[Group::kMostSubgroups] = {}, extreme = 0;
    for (int s = 0; s < subgroups(); ++s) {
      scales[s] = fit_scale(weights(s), importances(s), traits_.subgroup, levels_);
      extreme = std::abs(scales[s]) > std::abs(extreme) ? scales[s] : extreme;
    }
    to_.scale = as_half(extreme / static_cast<float>(factors_.lowest));
    double up = 0, down = 0;
    for (int s = 0; s < subgroups(); ++s) {
      choose_subscale(s, factor_of(scales[s], to_.scale));
      take_levels({to_.scale * static_cast<float>(to_.subscales[s]), 0}, s);
      const Moments sums = moments_of(s);
      up += to_.subscales[s] * sums.xl;
      down += to_.subscales[s] * to_.subscales[s] * sums.ll;
    }
    if (down > 0) to_.scale = as_half(up / down);
    for (int s = 0; s < subgroups(); ++s)
      take_levels({to_.scale * static_cast<float>(to_.subscales[s]), 0}, s);
  }

  Line line_of(int subscale, int submin) const {
    return {to_.scale * static_cast<float>(subscale), to_.min * static_cast<float>(submin)};
  }

  void choose_line(int subgroup, int subscale, int submin) {
    float least = 0;
    bool found = false;
    for (int scale = std::max(subscale - 1, 0); scale <= std::min(subscale + 1, factors_.highest); ++scale) {
      for (int min = std::max(submin - 1, 0); min <= std::min(submin + 1, factors_.highest); ++min) {
        const float error = take_levels(line_of(scale, min), subgroup);
        if (found && !(error < least)) continue;
        found = true;
        least = error;
        to_.subscales[subgroup] = static_cast<std::int8_t>(scale);
        to_.submins[subgroup] = static_cast<std::uint8_t>(min);
      }
    }
  }

  void fit_subscales_and_submins() {
    Line lines[Group::kMostSubgroups];
    Line widest;
    for (int s = 0; s < subgroups(); ++s) {
      lines[s] = fit_line(weights(s), importances(s), traits_.subgroup, levels_.highest, true);
      widest = {std::max(widest.scale, lines[s].scale), std::min(widest.min, lines[s].min)};
    }
    to_.scale = as_half(widest.scale / static_cast<float>(factors_.highest));
    to_.min = as_half(widest.min / static_cast<float>(factors_.highest));
    for (int s = 0; s < subgroups(); ++s) {
      choose_line(s, factor_of(lines[s].scale, to_.scale), factor_of(lines[s].min, to_.min));
      take_levels(line_of(to_.subscales[s], to_.submins[s]), s);
    }
    refit_scale_and_min();
    for (int s = 0; s < subgroups(); ++s) take_levels(line_of(to_.subscales[s], to_.submins[s]), s);
  }

  // The group's two floats for given levels, subscales and submins.
  void refit_scale_and_min() {
    double scale_scale = 0, scale_min = 0, min_min = 0, scale_x = 0, min_x = 0;
    for (int s = 0; s < subgroups(); ++s) {
      const double subscale = to_.subscales[s], submin = to_.submins[s];
      const Moments sums = moments_of(s);
      scale_scale += subscale * subscale * sums.ll;
      scale_min += subscale * submin * sums.l;
      min_min += submin * submin * sums.one;
      scale_x += subscale * sums.xl;
      min_x += submin * sums.x;
    }
    const double determinant = scale_scale * min_min - scale_min * scale_min;
    if (determinant > 0) {
      to_.scale = as_half((scale_x * min_min - min_x * scale_min) / determinant);
      to_.min = as_half((min_x * scale_scale - scale_x * scale_min) / determinant);
    } else if (scale_scale > 0 && min_min == 0) {
      to_.scale = as_half(scale_x / scale_scale);
    }
  }

  void store_codes() {
    for (int i = 0; i < traits_.group; ++i) {
      const int code = level_[i] + traits_.zero;
      to_.codes[i] = traits_.codebook == nullptr
                         ? static_cast<std::uint8_t>(code)
                         : tables_of(traits_.codebook).index[static_cast<std::size_t>(code)];
    }
  }

  static constexpr std::size_t kStoredBytes = 32;  // NVFP4's block is less

  const FormatTraits& traits_;
  Levels levels_;
  Range factors_;
  const float* x_;
  const float* importance_;
  Group& to_;
  std::int8_t level_[Group::kMost];
};

void dequantize_group(const FormatTraits& traits, const Group& group, float* x) {
  for (int s = 0; s < traits.group / traits.subgroup; ++s) {
    const float scale = group.scale * static_cast<float>(group.subscales[s]);
    const float min = group.min * static_cast<float>(group.submins[s]);
    for (int i = s * traits.subgroup; i < (s + 1) * traits.subgroup; ++i) {
      const int code = multiplied_code(traits, group, i);
      x[i] = scale * static_cast<float>(code - traits.zero) + min;
    }
  }
}

}  // namespace

std::int64_t row_bytes(FormatKind kind, std::int64_t n) {
  switch (kind) {
    case FormatKind::f32:
      return n * 4;
    case FormatKind::f16:
    case FormatKind::bf16:
      return n * 2;
    default:
      return BlockRows(kind, n).row_bytes();
  }
}

void quantize_row(FormatKind kind, const float* x, std::int64_t n, std::byte* blocks, float tensor_scale,
                  const float* importance) {
  if (kind == FormatKind::f32) {
    std::memcpy(blocks, x, static_cast<std::size_t>(n) * sizeof *x);
    return;
  }
  if (kind == FormatKind::f16 || kind == FormatKind::bf16) {
    for (std::int64_t i = 0; i < n; ++i) {
      const std::uint16_t bits = kind == FormatKind::f16 ? float_to_half(x[i]) : float_to_bfloat(x[i]);
      std::memcpy(blocks + 2 * i, &bits, sizeof bits);
    }
    return;
  }
  const FormatTraits& traits = *format_traits(kind);
  assert(n % traits.group == 0);
  const BlockRows rows(kind, n);
  ErrorWeights weights;
  if (traits.lift > 0) {
    const std::vector<float> row_weights = error_weights_of_row(traits, x, n, importance);
    return quantize_lifted(traits, x, n, row_weights.empty() ? nullptr : row_weights.data(), blocks);
  }
  for (std::int64_t i = 0; i < n / traits.group; ++i) {
    const std::int64_t first = i * traits.group;
    Group group = {};
    const float* const w =
        weights.of(traits, importance == nullptr ? nullptr : importance + first, x + first);
    if (traits.entry > 1) {
      quantize_by_grid(traits, x + first, w, group);
    } else {
      GroupQuantizer(traits, x + first, w, group).quantize(tensor_scale);
    }
    rows.join(group, i, blocks);
  }
}

void dequantize_row(FormatKind kind, const std::byte* blocks, std::int64_t n, float* x, float tensor_scale) {
  if (kind == FormatKind::f32) {
    std::memcpy(x, blocks, static_cast<std::size_t>(n) * sizeof *x);
    return;
  }
  if (kind == FormatKind::f16 || kind == FormatKind::bf16) {
    for (std::int64_t i = 0; i < n; ++i) {
      std::uint16_t bits;
      std::memcpy(&bits, blocks + 2 * i, sizeof bits);
      x[i] = kind == FormatKind::f16 ? half_to_float(bits) : bfloat_to_float(bits);
    }
    return;
  }
  const FormatTraits& traits = *format_traits(kind);
  const BlockRows rows(kind, n);
  for (std::int64_t i = 0; i < n / traits.group; ++i) {
    Group group;
    group.scale = tensor_scale;
    rows.split(blocks, i, group);
    dequantize_group(traits, group, x + i * traits.group);
  }
}

Magnitudes magnitudes_above(const float* x, std::int64_t n, float threshold) {
  Magnitudes found;
  for (std::int64_t i = 0; i < n; ++i) {
    const float magnitude = std::abs(x[i]);
    found.sum += magnitude > threshold ? magnitude : 0;
    found.count += magnitude > threshold ? 1 : 0;
  }
  return found;
}

}  // namespace llamajit::jit
