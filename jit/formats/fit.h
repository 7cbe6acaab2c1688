// Scales and mins by least squares: for weights x and levels l (integers), the scale d
// and min m for which the sum of w (x - d l - m)^2 is smallest where each weight takes
// the level nearest to it. Levels and scale depend on one another; so a few scales are
// tried, each refitted to the levels that it leads to, and the best is kept.
//
// The importance w of a weight is positive; where there is none (nullptr), all weights count alike. As every
// formula multiplies with it, an importance of 1 throughout gives the same bits as none.
#pragma once

#include <cstdint>
#include <span>

#include "jit/formats/format.h"

namespace llamajit::jit {

// The levels that weights can take: all integers of a range; or where there is a table, those that it has for
// the nearest integer, nearest[i - lowest]; or of the range those with a magnitude that is listed.
struct Levels {
  int lowest;
  int highest;
  const std::int8_t* nearest = nullptr;
  std::span<const std::int8_t> magnitudes = {};  // ascending from 0; midway, the even place's
};

struct Line {
  float scale = 0;
  float min = 0;
};

// Everywhere n is a multiple of 16, and at most Group::kMost. Weights must be finite, and importances of a size
// whose sums of n can be floats.
float fit_scale(const float* x, const float* importance, int n, const Levels& levels);
// The better of the two powers of two, from 2^lowest on, that bring the largest weight near the last level.
// For levels that are listed by their magnitudes.
float fit_power_of_two(const float* x, const float* importance, int n, const Levels& levels, int lowest);
// Levels from 0 to `highest`; with `negative_min` the min is zero at most.
Line fit_line(const float* x, const float* importance, int n, int highest, bool negative_min);

// Each weight's nearest level. Returns the sum of squared errors times importance.
float nearest_levels(const float* x, const float* importance, int n, Line line, const Levels& levels,
                     std::int8_t* to);

// These sums are all that a refit needs to know of levels and weights.
struct Moments {
  double one = 0, l = 0, ll = 0, x = 0, xl = 0;  // sums of 1, l, l^2, x and x l, times importance
};
Moments moments(const float* x, const float* importance, const std::int8_t* levels, int n);

}  // namespace llamajit::jit
