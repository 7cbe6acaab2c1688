#pragma once

#include <cmath>

namespace llamajit {

// For messages: the sign of a NaN says nothing, and not all processors give it the same.
inline float without_sign_of_nan(float x) {
  return std::isnan(x) ? std::fabs(x) : x;
}

}  // namespace llamajit
