#include "runtime/forward/logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/numbers.h"

namespace llamajit {

bool have_a_largest(std::span<const float> logits) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Without branches, so that the compiler makes vector instructions of it.
  unsigned bad = 0, numbers = 0;
  for (const float x : logits) {
    bad |= static_cast<unsigned>(!(x < kInfinity));
    numbers |= static_cast<unsigned>(x > -kInfinity);
  }
  return bad == 0 && numbers != 0;
}

void spoil_overflown(std::span<const float> residual, std::span<float> logits) {
  constexpr float kLargest = 1e16F;  // of whose squares a float holds the sum of a million
  unsigned bad = 0;
  for (const float x : residual) bad |= static_cast<unsigned>(!(std::abs(x) < kLargest));
  if (bad != 0) std::ranges::fill(logits, std::numeric_limits<float>::quiet_NaN());
}

void refuse_logits(std::span<const float> logits, std::int64_t position) {
  const auto found = std::ranges::find_if(logits, [](float x) { return !std::isfinite(x); });
  throw std::runtime_error(
      fmt::format("position {}: expected logits that are numbers, found {} for token {}: the model's weights "
                  "are damaged, or too large",
                  position, without_sign_of_nan(*found), found - logits.begin()));
}

}  // namespace llamajit
