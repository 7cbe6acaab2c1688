// Filters for numbers and single values.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "runtime/jinja/arithmetic.h"
#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

Value default_value(const Call& call, const Value& value) {
  const bool take_other = value.is_undefined() || (call.truth(1, "boolean", false) && !value.truth());
  if (!take_other) return value;
  const Value* const other = call.given(0, "default_value");
  return other != nullptr ? *other : Value("");
}

// The text without blanks and without the '_' between digits; nothing where one stands elsewhere.
std::optional<String> plain_number(std::string_view text) {
  text = stripped(text);
  String out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto is_digit_at = [&](std::size_t at) {
      return at < text.size() &&
             ((text[at] >= '0' && text[at] <= '9') || (text[at] >= 'a' && text[at] <= 'z') ||
              (text[at] >= 'A' && text[at] <= 'Z'));
    };
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) {
      return std::nullopt;
    }
  }
  return out;
}

// As int(text, base); base 0 goes by the prefix.
std::optional<Value> parsed_integer(const Call& call, std::string_view text, std::int64_t base) {
  String digits = plain_number(text).value_or("");
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  constexpr std::pair<std::string_view, int> kPrefixes[] = {{"0x", 16}, {"0o", 8}, {"0b", 2}};
  for (const auto& [prefix, of] : kPrefixes) {
    if ((base == of || base == 0) && lower(digits.substr(0, 2)) == prefix) {
      digits.erase(0, 2);
      base = of;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || digits.empty() || digits[0] == '-') return std::nullopt;
  if (negative) digits.insert(0, 1, '-');
  if (base == 10 && digits.find_first_not_of("0123456789", negative ? 1 : 0) == String::npos) {
    return integer_of(digits);
  }
  std::int64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number, static_cast<int>(base));
  if (error == std::errc::result_out_of_range && stop == end) {
    call.execution.fail("int", "an integer of 64 bits", "a larger one");
  }
  return error == std::errc() && stop == end ? std::optional<Value>(number) : std::nullopt;
}

// As float(text), which knows no hexadecimal digits.
std::optional<double> parsed_number(std::string_view text) {
  String digits = plain_number(text).value_or("");
  if (digits.find_first_of("xXpP(") != String::npos) return std::nullopt;
  if (digits.starts_with('+')) digits.erase(0, 1);
  if (digits.empty() || digits[0] == '+') return std::nullopt;
  double number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc::result_out_of_range ? std::strtod(digits.c_str(), nullptr) : number;
}

Value to_integer(const Call& call, const Value& value) {
  if (const auto integer = value.integer()) return *integer;
  if (value.is_large()) return value;
  const String* const text = value.text();
  if (text != nullptr) {
    if (const auto integer = parsed_integer(call, *text, call.integer(1, "base", 10))) return *integer;
  }
  const auto number = text != nullptr ? parsed_number(*text) : value.number();
  if (number && std::isinf(*number)) call.execution.fail("int", "a finite number", fmt::to_string(*number));
  if (number && !std::isnan(*number)) return integer_of(printed_to_string("{:.0f}", std::trunc(*number)));
  const Value* const otherwise = call.given(0, "default");
  return otherwise != nullptr ? *otherwise : Value(std::int64_t{0});
}

Value to_float(const Call& call, const Value& value) {
  const auto number = value.text() != nullptr ? parsed_number(*value.text()) : value.number();
  if (number) return *number;
  const Value* const otherwise = call.given(0, "default");
  return otherwise != nullptr ? *otherwise : Value(0.0);
}

Value absolute(const Call& call, const Value& value) {
  if (const auto integer = value.integer()) {
    return *integer < 0 ? negated(call.execution, *integer) : *integer;
  }
  if (!value.number()) call.fail("a number", value);
  if (value.is_large()) return *value.number() < 0 ? negated(call.execution, value) : value;
  return std::abs(*value.number());
}

Value round_number(const Call& call, const Value& value) {
  if (!value.number()) call.fail("a number", value);
  const double scale = std::pow(
      10.0, static_cast<double>(std::clamp<std::int64_t>(call.integer(0, "precision", 0), -300, 300)));
  const String* const method = call.text(1, "method");
  if (method != nullptr && *method != "common" && *method != "ceil" && *method != "floor") {
    call.execution.fail("round", "common, ceil or floor", shown_text(*method));
  }
  const bool common = method == nullptr || *method == "common";
  if (common && value.integer() && scale >= 1) return *value.integer();
  if (common && value.is_large() && scale >= 1) return value;
  const double x = *value.number() * scale;
  if (method != nullptr && *method == "ceil") return std::ceil(x) / scale;
  if (method != nullptr && *method == "floor") return std::floor(x) / scale;
  // In decimal digits, as Python does, since a product with the scale may round to the next half.
  const auto digits = static_cast<int>(call.integer(0, "precision", 0));
  if (digits >= 0)
    return std::strtod(fmt::format("{:.{}f}", *value.number(), std::min(digits, 300)).c_str(), nullptr);
  return std::nearbyint(x) / scale;
}

Value file_size(const Call& call, const Value& value) {
  const std::optional<double> number =
      value.text() != nullptr ? parsed_number(*value.text()) : value.number();
  if (!number) call.fail("a number", value);
  const bool binary = call.truth(0, "binary", false);
  const double base = binary ? 1024 : 1000;
  if (*number == 1) return "1 Byte";
  if (*number < base) return call.execution.text(printed_to_string("{:.0f} Bytes", std::trunc(*number)));
  double unit = base;
  std::size_t prefix = 0;
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  for (; prefix + 1 < kPrefixes.size() && *number >= unit * base; ++prefix) unit *= base;
  const char letter = binary && prefix == 0 ? 'K' : kPrefixes[prefix];
  return call.execution.text(printed_to_string("{:.1f} {}{}B", *number / unit, letter, binary ? "i" : ""));
}

constexpr NamedFilter kNumberFilters[] = {
    {"abs", absolute},   {"d", default_value}, {"default", default_value}, {"filesizeformat", file_size},
    {"float", to_float}, {"int", to_integer},  {"round", round_number},
};

}  // namespace

Filter find_number_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kNumberFilters, name, &NamedFilter::name);
  return found == std::end(kNumberFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
