#include "jit/formats/fit.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "jit/base/scalar_math.h"

namespace llamajit::jit {
namespace {

// Scales are tried that put the largest weight this many levels beyond the last one or within it: steps of
// 0.4 levels, or of a 40th of them where there are many.
constexpr int kSteps = 5;
constexpr float kSmallestStep = 0.4F, kStepsToHighest = 40;
// And as long as a refit makes it better, but no longer than this.
constexpr int kMostRefits = 10;

// Four floats at once, which every x86-64 has: compilers
// leave sums in scalars otherwise. Comparisons give masks.
using Four = float __attribute__((vector_size(16)));
constexpr int kFour = 4;

Four load(const float* from) {
  Four to;
  std::memcpy(&to, from, sizeof to);
  return to;
}
Four all(float x) {
  return Four{x, x, x, x};
}
float total(Four sum) {
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

// The level of a weight, as a float: what is nearest to
// inverse * (x - min). Neither infinities nor NaNs come out.
class Rounding {
 public:
  Rounding(float inverse, float min, const Levels& levels)
      : inverse_(all(inverse)),
        min_(all(min)),
        lowest_(all(static_cast<float>(levels.lowest))),
        highest_(all(static_cast<float>(levels.highest))),
        levels_(levels) {}

  Four operator()(const float* x) const {
    const Four exact = (load(x) - min_) * inverse_;
    const Four above = exact > lowest_ ? exact : lowest_;
    const Four bounded = above < highest_ ? above : highest_;
    if (!levels_.magnitudes.empty()) return nearest_magnitude(bounded);
    const Four l = (bounded + exp_constants::kRounder) - exp_constants::kRounder;
    return levels_.nearest == nullptr ? l : nearest(l);
  }

 private:
  Four nearest(Four l) const {
    Four to;
    for (int i = 0; i < kFour; ++i) to[i] = levels_.nearest[static_cast<int>(l[i]) - levels_.lowest];
    return to;
  }

  Four nearest_magnitude(Four exact) const {
    const Four zero = {}, magnitude = exact < zero ? -exact : exact;
    Four to = {};
    for (std::size_t i = 1; i < levels_.magnitudes.size(); ++i) {
      const int below = levels_.magnitudes[i - 1], above = levels_.magnitudes[i];
      const Four middle = all(static_cast<float>(below + above) / 2);
      const Four step = all(static_cast<float>(above - below));
      to += (i % 2 == 0 ? magnitude >= middle : magnitude > middle) ? step : zero;
    }
    return exact < zero ? -to : to;
  }

  Four inverse_, min_, lowest_, highest_;
  const Levels& levels_;
};

// Loops over weights are made twice, so that those without importances have none to multiply with.
template <bool kWeighted>
Four times_importance(Four x, const float* importance, int i) {
  if constexpr (kWeighted) return x * load(importance + i);
  return x;
}

struct Sums {
  float l;
  float ll;
  float xl;
};
template <bool kWeighted>
Sums sums_of(const float* x, const float* importance, int n, const Rounding& rounding) {
  Four sum_l = {}, sum_ll = {}, sum_xl = {};
  for (int i = 0; i < n; i += kFour) {
    const Four l = rounding(x + i);
    const Four wl = times_importance<kWeighted>(l, importance, i);
    sum_l += wl;
    sum_ll += wl * l;
    sum_xl += wl * load(x + i);
  }
  return {total(sum_l), total(sum_ll), total(sum_xl)};
}
Sums sums_of(const float* x, const float* importance, int n, const Rounding& rounding) {
  if (importance == nullptr) return sums_of<false>(x, importance, n, rounding);
  return sums_of<true>(x, importance, n, rounding);
}

float sum_of(const float* x, const float* importance, int n) {
  Four sum = {};
  for (int i = 0; i < n; i += kFour) {
    sum += importance == nullptr ? load(x + i) : load(x + i) * load(importance + i);
  }
  return total(sum);
}
float sum_of(const float* x, int n) {
  return sum_of(x, nullptr, n);
}

// A line, and by how much it lowers the sum of squares below that of x.
struct Fit {
  Line line;
  float gain = 0;
};

Fit refit_scale(const float* x, const float* importance, int n, float inverse, const Levels& levels) {
  const Sums sums = sums_of(x, importance, n, {inverse, 0, levels});
  if (sums.ll == 0) return {};
  const float scale = sums.xl / sums.ll;
  return {{scale, 0}, scale * sums.xl};
}

struct LineTask {
  const float* x;
  const float* importance;
  int n;
  float count;  // sums of 1 and x, times importance
  float sum_x;
  Levels levels;
  bool negative_min;
};
Fit refit_line(const LineTask& task, float inverse, float min) {
  const Sums sums = sums_of(task.x, task.importance, task.n, {inverse, min, task.levels});
  const float determinant = task.count * sums.ll - sums.l * sums.l;
  if (determinant > 0) {
    const Line line = {(task.count * sums.xl - task.sum_x * sums.l) / determinant,
                       (sums.ll * task.sum_x - sums.l * sums.xl) / determinant};
    if (line.min <= 0 || !task.negative_min) return {line, line.scale * sums.xl + line.min * task.sum_x};
  }
  if (sums.ll == 0) return {};
  const float scale = sums.xl / sums.ll;
  return {{scale, 0}, scale * sums.xl};
}

float step_of(const Levels& levels) {
  return std::max(kSmallestStep, static_cast<float>(levels.highest) / kStepsToHighest);
}

}  // namespace

float fit_scale(const float* x, const float* importance, int n, const Levels& levels) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float extreme = 0;
  for (int i = 0; i < n; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
  if (extreme == 0) return 0;
  const float step = step_of(levels);
  Fit best;
  const auto attempt = [&](float inverse) {
    const Fit fit = refit_scale(x, importance, n, inverse, levels);
    if (!(fit.gain > best.gain)) return false;
    best = fit;
    return true;
  };
  for (int i = -kSteps; i <= kSteps; ++i) {
    const float beyond = static_cast<float>(i) * step;
    attempt((static_cast<float>(levels.highest) + beyond) / extreme);
    if (levels.lowest != -levels.highest) attempt((static_cast<float>(levels.lowest) - beyond) / extreme);
  }
  for (int i = 0; i < kMostRefits && best.line.scale != 0 && attempt(1 / best.line.scale); ++i) {
  }
  return best.line.scale;
}

float fit_power_of_two(const float* x, const float* importance, int n, const Levels& levels, int lowest) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float extreme = 0;
  for (int i = 0; i < n; ++i) extreme = max2(std::abs(x[i]), extreme);
  if (extreme == 0) return std::ldexp(1.0F, lowest);
  // With the one power the largest weight may be beyond the last level, by up to a third of it. With the next
  // it is within, and all levels lie farther apart.
  const int exponent = std::max(std::ilogb(extreme) - std::ilogb(static_cast<float>(levels.highest)), lowest);
  const float scale = std::ldexp(1.0F, exponent);
  std::int8_t unused[Group::kMost];
  const auto error = [&](float of) { return nearest_levels(x, importance, n, {of, 0}, levels, unused); };
  return error(2 * scale) < error(scale) ? 2 * scale : scale;
}

Line fit_line(const float* x, const float* importance, int n, int highest, bool negative_min) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float smallest = x[0], largest = x[0];
  for (int i = 1; i < n; ++i) {
    smallest = min2(x[i], smallest);
    largest = max2(x[i], largest);
  }
  if (negative_min) smallest = min2(smallest, 0);
  if (!(largest > smallest)) return {0, smallest};
  const float count = importance == nullptr ? static_cast<float>(n) : sum_of(importance, n);
  const LineTask task = {x, importance, n, count, sum_of(x, importance, n), {0, highest}, negative_min};
  const float step = step_of(task.levels);
  // At least the line through the smallest and the largest weight.
  Fit best = {{(largest - smallest) / static_cast<float>(highest), smallest}, 0};
  const auto attempt = [&](float inverse, float min) {
    const Fit fit = refit_line(task, inverse, min);
    if (!(fit.gain > best.gain)) return false;
    best = fit;
    return true;
  };
  for (int i = -kSteps; i <= kSteps; ++i) {
    const float levels = static_cast<float>(highest) + static_cast<float>(i) * step;
    if (levels > 0) attempt(levels / (largest - smallest), smallest);
  }
  for (int i = 0; i < kMostRefits && best.line.scale != 0; ++i) {
    if (!attempt(1 / best.line.scale, best.line.min)) break;
  }
  return best.line;
}

namespace {

template <bool kWeighted>
float nearest_levels_by(const Rounding& rounding, const float* x, const float* importance, int n, Line line,
                        std::int8_t* to) {
  Four errors = {};
  for (int i = 0; i < n; i += kFour) {
    const Four l = rounding(x + i);
    const Four error = load(x + i) - (l * line.scale + line.min);
    errors += times_importance<kWeighted>(error * error, importance, i);
    for (int k = 0; k < kFour; ++k) to[i + k] = static_cast<std::int8_t>(l[k]);
  }
  return total(errors);
}

}  // namespace

float nearest_levels(const float* x, const float* importance, int n, Line line, const Levels& levels,
                     std::int8_t* to) {
  const float inverse = 1 / line.scale;
  // A scale so small that its inverse is infinite, as zero is, reaches no weight.
  const Rounding rounding(std::isfinite(inverse) ? inverse : 0, line.min, levels);
  if (importance == nullptr) return nearest_levels_by<false>(rounding, x, importance, n, line, to);
  return nearest_levels_by<true>(rounding, x, importance, n, line, to);
}

Moments moments(const float* x, const float* importance, const std::int8_t* levels, int n) {
  Moments sums;
  for (int i = 0; i < n; ++i) {
    const double w = importance == nullptr ? 1 : importance[i], l = levels[i], weight = x[i];
    sums.one += w;
    sums.l += w * l;
    sums.ll += w * l * l;
    sums.x += w * weight;
    sums.xl += w * weight * l;
  }
  return sums;
}

}  // namespace llamajit::jit
