#pragma once

#include <cmath>
#include <concepts>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace llamajit {

// For messages: the sign of a NaN says nothing, and not all processors give it the same.
inline float without_sign_of_nan(float x) {
  return std::isnan(x) ? std::fabs(x) : x;
}

// "1 token", "2 tokens".
template <std::integral Int>
std::string counted(Int n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

}  // namespace llamajit
