// Numbers as JSON writes them, without a double's rounding: 0.1 has no double, and ten of it are 1.
#pragma once

#include <cstdint>
#include <string_view>

namespace llamajit {

// ± digits * 10^exponent. `digits` don't end by a 0, except 0 itself, which is 0 * 10^0.
struct Decimal {
  bool is_negative;
  std::uint64_t digits;
  int exponent;
};

// Of a number by JSON's grammar (RFC 8259, 6). Throws std::runtime_error, as "expected …, found …", for one of more than
// 19 digits beside the zeros at either end or an exponent of more than 4.
Decimal decimal_of(std::string_view number);

// A number as a whole number of units of 10^-places, rounded downwards; and whether something was left over.
struct Scaled {
  std::int64_t units;
  bool has_rest;
};
// The number is within ±10^(18 - places).
Scaled scaled_down(const Decimal& number, int places);

}  // namespace llamajit
