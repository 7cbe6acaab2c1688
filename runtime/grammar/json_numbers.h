// Numbers within bounds, digit by digit.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/grammar/json_rules.h"

namespace llamajit {

// Beyond it, digits are not counted.
inline constexpr std::int64_t kMostInteger = 999'999'999'999'999'999;  // 18 digits
inline constexpr std::int64_t kMostNumberBound = 1'000'000'000'000;    // 64 bits hold its millionths
inline constexpr std::int64_t kMostWholePart = 999'999'999'999'999;    // 15 digits
inline constexpr int kFractionDigits = 6;
inline constexpr std::int64_t kMillion = 1'000'000;  // 10^kFractionDigits

// Whole numbers from `min` to `max`, both included, within ±kMostInteger; min <= max.
PartId integers_between(JsonRules& json, std::int64_t min, std::int64_t max);

// Numbers from `min` to `max`, both included, in millionths, within ±kMostNumberBound; with 6 digits behind the point at
// most and no exponent. Nothing where there are none. Without a bound, that is within ±kMostWholePart.
std::optional<PartId> numbers_between(JsonRules& json, std::optional<std::int64_t> min,
                                      std::optional<std::int64_t> max);

// Numbers nearer to 0 than `bound`, which is beyond kMostWholePart: with an exponent as far as one has room.
PartId numbers_within(JsonRules& json, double bound);

}  // namespace llamajit
