// Multiples of a number (JSON Schema's multipleOf), digit by digit: what is left of a division is known without the rest of
// the digits.
#pragma once

#include "runtime/grammar/decimal.h"
#include "runtime/grammar/rules.h"

namespace llamajit {

inline constexpr std::uint64_t kMostMultiple = 1000;  // a position for each remainder
inline constexpr int kMostMultipleZeros = 15;
inline constexpr int kMostMultiplePlaces = 6;

// The texts that are multiples of ± `of`.digits * 10^`of`.exponent, of those that JSON has for numbers without an exponent;
// of what is no number, some. The digits are from 1 to kMostMultiple, the exponent from -kMostMultiplePlaces to
// kMostMultipleZeros.
RuleAutomaton multiples(const Decimal& of, CompileWork& work);

}  // namespace llamajit
