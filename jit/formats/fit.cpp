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

struct Sums {
  float l;
  float ll;
  float xl;
};
Sums sums_of(const float* x, int n, const Rounding& rounding) {
  Four sum_l = {}, sum_ll = {}, sum_xl = {};
  for (int i = 0; i < n; i += kFour) {
    const Four l = rounding(x + i);
    sum_l += l;
    sum_ll += l * l;
    sum_xl += l * load(x + i);
  }
  return {total(sum_l), total(sum_ll), total(sum_xl)};
}

float sum_of(const float* x, int n) {
  Four sum = {};
  for (int i = 0; i < n; i += kFour) sum += load(x + i);
  return total(sum);
}

// A line, and by how much it lowers the sum of squares below that of x.
struct Fit {
  Line line;
  float gain = 0;
};

Fit refit_scale(const float* x, int n, float inverse, const Levels& levels) {
  const Sums sums = sums_of(x, n, {inverse, 0, levels});
  if (sums.ll == 0) return {};
  const float scale = sums.xl / sums.ll;
  return {{scale, 0}, scale * sums.xl};
}

struct LineTask {
  const float* x;
  int n;
  float sum_x;
  Levels levels;
  bool negative_min;
};
Fit refit_line(const LineTask& task, float inverse, float min) {
  const Sums sums = sums_of(task.x, task.n, {inverse, min, task.levels});
  const auto count = static_cast<float>(task.n);
  const float determinant = count * sums.ll - sums.l * sums.l;
  if (determinant > 0) {
    const Line line = {(count * sums.xl - task.sum_x * sums.l) / determinant,
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

float fit_scale(const float* x, int n, const Levels& levels) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float extreme = 0;
  for (int i = 0; i < n; ++i) extreme = std::abs(x[i]) > std::abs(extreme) ? x[i] : extreme;
  if (extreme == 0) return 0;
  const float step = step_of(levels);
  Fit best;
  const auto attempt = [&](float inverse) {
    const Fit fit = refit_scale(x, n, inverse, levels);
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

float fit_power_of_two(const float* x, int n, const Levels& levels, int lowest) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float extreme = 0;
  for (int i = 0; i < n; ++i) extreme = max2(std::abs(x[i]), extreme);
  if (extreme == 0) return std::ldexp(1.0F, lowest);
  // With the one power the largest weight may be beyond the last level, by up to a third of it. With the next
  // it is within, and all levels lie farther apart.
  const int exponent = std::max(std::ilogb(extreme) - std::ilogb(static_cast<float>(levels.highest)), lowest);
  const float scale = std::ldexp(1.0F, exponent);
  std::int8_t unused[Group::kMost];
  const auto error = [&](float of) { return nearest_levels(x, n, {of, 0}, levels, unused); };
  return error(2 * scale) < error(scale) ? 2 * scale : scale;
}

Line fit_line(const float* x, int n, int highest, bool negative_min) {
  assert(n % kLanes == 0 && n <= Group::kMost);
  float smallest = x[0], largest = x[0];
  for (int i = 1; i < n; ++i) {
    smallest = min2(x[i], smallest);
    largest = max2(x[i], largest);
  }
  if (negative_min) smallest = min2(smallest, 0);
  if (!(largest > smallest)) return {0, smallest};
  const LineTask task = {x, n, sum_of(x, n), {0, highest}, negative_min};
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

float nearest_levels(const float* x, int n, Line line, const Levels& levels, std::int8_t* to) {
  const float inverse = 1 / line.scale;
  // A scale so small that its inverse is infinite, as zero is, reaches no weight.
  const Rounding rounding(std::isfinite(inverse) ? inverse : 0, line.min, levels);
  Four errors = {};
  for (int i = 0; i < n; i += kFour) {
    const Four l = rounding(x + i);
    const Four error = load(x + i) - (l * line.scale + line.min);
    errors += error * error;
    for (int k = 0; k < kFour; ++k) to[i + k] = static_cast<std::int8_t>(l[k]);
  }
  return total(errors);
}

Moments moments(const float* x, const std::int8_t* levels, int n) {
  Moments sums;
  for (int i = 0; i < n; ++i) {
    const double l = levels[i], weight = x[i];
    sums.l += l;
    sums.ll += l * l;
    sums.x += weight;
    sums.xl += weight * l;
  }
  return sums;
}

}  // namespace llamajit::jit
