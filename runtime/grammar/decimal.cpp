#include "runtime/grammar/decimal.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr int kMostDigits = 19;  // of what 64 bits hold
constexpr int kMostExponentDigits = 4;

std::uint64_t power_of_10(int exponent) {
  std::uint64_t power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

[[noreturn]] void refuse(std::string_view expected, std::string_view found) {
  throw std::runtime_error(fmt::format("expected {}, found {}", expected, found));
}

// Takes the exponent off the number's end.
int take_exponent(std::string_view& number) {
  const std::size_t mark = number.find_first_of("eE");
  if (mark == std::string_view::npos) return 0;
  std::string_view text = number.substr(mark + 1);
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  if (text.size() > kMostExponentDigits)
    refuse(fmt::format("an exponent of at most {} digits", kMostExponentDigits), text.substr(0, 20));
  int exponent = 0;
  for (const char c : text) exponent = exponent * 10 + (c - '0');
  number = number.substr(0, mark);
  return is_negative ? -exponent : exponent;
}

}  // namespace

Decimal decimal_of(std::string_view number) {
  Decimal decimal{number.starts_with('-'), 0, 0};
  if (decimal.is_negative) number.remove_prefix(1);
  decimal.exponent = take_exponent(number);
  const std::size_t point = std::min(number.find('.'), number.size());
  std::string digits(number.substr(0, point));
  if (point < number.size()) digits += number.substr(point + 1);
  decimal.exponent -= static_cast<int>(digits.size()) - static_cast<int>(point);
  const std::size_t last = digits.find_last_not_of('0');
  if (last == std::string::npos) return {decimal.is_negative, 0, 0};
  decimal.exponent += static_cast<int>(digits.size() - 1 - last);
  digits = digits.substr(0, last + 1).substr(digits.find_first_not_of('0'));
  if (digits.size() > kMostDigits)
    refuse(fmt::format("a number of at most {} digits", kMostDigits), fmt::to_string(digits.size()));
  for (const char c : digits) decimal.digits = decimal.digits * 10 + static_cast<std::uint64_t>(c - '0');
  return decimal;
}

Scaled scaled_down(const Decimal& number, int places) {
  const int shift = number.exponent + places;
  Scaled scaled{0, number.digits != 0};
  if (shift >= 0 && number.digits != 0) {
    scaled = {static_cast<std::int64_t>(number.digits * power_of_10(shift)), false};
  } else if (-shift <= kMostDigits) {
    const std::uint64_t unit = power_of_10(-shift);
    scaled = {static_cast<std::int64_t>(number.digits / unit), number.digits % unit != 0};
  }
  if (number.is_negative) scaled.units = -scaled.units - (scaled.has_rest ? 1 : 0);
  return scaled;
}

}  // namespace llamajit
