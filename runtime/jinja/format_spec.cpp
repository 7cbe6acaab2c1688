// One value, as Python's format() writes it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "runtime/jinja/formatting.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

constexpr std::int64_t kWidest = 1'000'000;  // of a field; digits of a number: as many as a double has
constexpr int kMostDigits = 1100;

std::int64_t take_number(Execution& execution, std::string_view& text) {
  std::int64_t number = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    number = number * 10 + (text[0] - '0');
    if (number > kWidest)
      execution.fail("format", fmt::format("a width of at most {}", kWidest), "a larger one");
    text.remove_prefix(1);
  }
  return number;
}

bool take_character(std::string_view& text, std::string_view set, char& found) {
  if (text.empty() || set.find(text[0]) == std::string_view::npos) return false;
  found = text[0];
  text.remove_prefix(1);
  return true;
}

bool is_align(char c) {
  return c == '<' || c == '>' || c == '^' || c == '=';
}

[[noreturn]] void refuse_type(Execution& execution, const FormatSpec& spec, const Value& value) {
  execution.fail("format", fmt::format("a value for '{}'", shown_text({&spec.type, 1})), value.kind());
}

// printf's letter for it, with as many digits.
String printed(char type, bool alternative, int precision, double x) {
  std::array<char, kMostDigits + 400> buffer{};
  const String format = printed_to_string("%{}.*{}", alternative ? "#" : "", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int n = std::snprintf(buffer.data(), buffer.size(), format.c_str(), precision, x);
#pragma GCC diagnostic pop
  return {buffer.data(), static_cast<std::size_t>(std::max(n, 0))};
}

// The digits of a number that is not negative.
String digits_of(Execution& execution, const FormatSpec& spec, double x) {
  const bool upper_case = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  if (!std::isfinite(x)) {
    const String name = std::isnan(x) ? "nan" : "inf";
    return (upper_case ? upper(name) : name) + (spec.type == '%' ? "%" : "");
  }
  if (spec.precision.value_or(0) > kMostDigits) {
    execution.fail("format", fmt::format("at most {} digits", kMostDigits), fmt::to_string(*spec.precision));
  }
  const int precision = static_cast<int>(spec.precision.value_or(6));
  if (spec.type == '%') return printed('f', spec.alternative, precision, x * 100) + "%";
  if (spec.type == 'n') return printed('g', spec.alternative, precision, x);
  if (spec.type != 0) return printed(spec.type, spec.alternative, precision, x);
  if (!spec.precision) return to_text(execution, x);
  // As 'g', but with a digit behind the point, and an exponent one digit earlier.
  const int significant = std::max(precision, 1);
  String text = printed('g', false, significant, x);
  if (text.find_first_of(".e") != String::npos) return text;
  if (static_cast<int>(text.size()) < significant) return text + ".0";
  text = printed('e', false, significant - 1, x);
  const std::size_t exponent = text.find('e');
  const std::size_t last =
      text.find('.') < exponent ? text.find_last_not_of("0.", exponent - 1) : exponent - 1;
  return text.substr(0, last + 1) + text.substr(exponent);
}

// The digits before the point in groups: of three, or of four in bases of two.
String grouped(const FormatSpec& spec, String digits, std::size_t width) {
  if (spec.grouping == 0) {
    digits.insert(0, width > digits.size() ? width - digits.size() : 0, '0');
    return digits;
  }
  const bool binary = spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b';
  const std::size_t group = binary ? 4 : 3;
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  const String rest = digits.substr(whole);
  digits.resize(whole);
  const auto size_of = [&](std::size_t n) { return n + (n - 1) / group + rest.size(); };
  std::size_t n = std::max<std::size_t>(digits.size(), 1);
  while (size_of(n) < width) ++n;
  digits.insert(0, n - digits.size(), '0');
  for (std::size_t at = digits.size(); at > group;) digits.insert(at -= group, 1, spec.grouping);
  return digits + rest;
}

String with_sign(Execution& execution, const FormatSpec& spec, bool negative, std::string_view prefix,
                 const String& digits) {
  String before;
  if (negative) {
    before += '-';
  } else if (spec.sign != '-') {
    before += spec.sign;
  }
  before += prefix;
  const bool fills_with_zeros = (spec.zero && spec.align == 0) || (spec.align == '=' && spec.fill == "0");
  const auto width = static_cast<std::size_t>(spec.width);
  const std::size_t left = fills_with_zeros && width > before.size() ? width - before.size() : 0;
  execution.allocate(2 * left);
  const String number = grouped(spec, digits, left);
  if (spec.align != '=') return padded(execution, spec, before + number, '>');
  FormatSpec inner = spec;
  inner.width = std::max<std::int64_t>(spec.width - static_cast<std::int64_t>(before.size()), 0);
  return before + padded(execution, inner, number, '>');
}

}  // namespace

FormatSpec parse_format_spec(Execution& execution, std::string_view text) {
  FormatSpec spec;
  const std::string_view all = text;
  if (!text.empty()) {
    const std::size_t first = utf8_length(text);
    if (first < text.size() && is_align(text[first])) {
      spec.fill = String(text.substr(0, first));
      text.remove_prefix(first);
    }
    take_character(text, "<>^=", spec.align);
  }
  take_character(text, "+- ", spec.sign);
  char found = 0;
  take_character(text, "z", found);
  spec.alternative = take_character(text, "#", found);
  spec.zero = take_character(text, "0", found);
  if (spec.zero && spec.align != 0 && spec.fill == " ") spec.fill.assign(1, '0');
  spec.width = take_number(execution, text);
  take_character(text, ",_", spec.grouping);
  if (take_character(text, ".", found)) {
    if (text.empty() || text[0] < '0' || text[0] > '9') execution.fail("format", "digits behind '.'", "none");
    spec.precision = take_number(execution, text);
  }
  take_character(text, "bcdeEfFgGnosxX%", spec.type);
  if (!text.empty())
    execution.fail("format", "[fill][align][sign][width][.precision][type]", shown_text(all));
  return spec;
}

String padded(Execution& execution, const FormatSpec& spec, std::string_view text, char align) {
  const auto size = static_cast<std::int64_t>(count_characters(text));
  const std::int64_t blanks = std::max<std::int64_t>(spec.width - size, 0);
  if (spec.align != 0 && spec.align != '=') align = spec.align;
  const std::int64_t before = align == '<' ? 0 : align == '^' ? blanks / 2 : blanks;
  execution.allocate(static_cast<std::size_t>(blanks) * spec.fill.size() + text.size());
  String out;
  for (std::int64_t i = 0; i < before; ++i) out += spec.fill;
  out += text;
  for (std::int64_t i = before; i < blanks; ++i) out += spec.fill;
  return out;
}

String formatted_number(Execution& execution, const FormatSpec& spec, double x) {
  return with_sign(execution, spec, std::signbit(x) && !std::isnan(x), "",
                   digits_of(execution, spec, std::fabs(x)));
}

String formatted_integer(Execution& execution, const FormatSpec& spec, std::int64_t x) {
  if (spec.type == 'c') {
    if (x < 0 || x > 0x10FFFF) execution.fail("format", "a character's number", fmt::to_string(x));
    return padded(execution, spec, utf8_of(static_cast<char32_t>(x)), '<');
  }
  const auto magnitude = x < 0 ? -static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
  switch (spec.type) {
    case 'x':
      return with_sign(execution, spec, x < 0, spec.alternative ? "0x" : "",
                       printed_to_string("{:x}", magnitude));
    case 'X':
      return with_sign(execution, spec, x < 0, spec.alternative ? "0X" : "",
                       printed_to_string("{:X}", magnitude));
    case 'o':
      return with_sign(execution, spec, x < 0, spec.alternative ? "0o" : "",
                       printed_to_string("{:o}", magnitude));
    case 'b':
      return with_sign(execution, spec, x < 0, spec.alternative ? "0b" : "",
                       printed_to_string("{:b}", magnitude));
    default:
      return with_sign(execution, spec, x < 0, "", printed_to_string("{}", magnitude));
  }
}

String formatted_integer(Execution& execution, const FormatSpec& spec, const LargeInteger& x) {
  if (spec.type != 0 && spec.type != 'd') {
    execution.fail("format", "an integer of 64 bits", Value(x).kind());
  }
  const bool negative = x.digits->starts_with('-');
  return with_sign(execution, spec, negative, "", x.digits->substr(negative ? 1 : 0));
}

String formatted(Execution& execution, const FormatSpec& spec, const Value& value) {
  constexpr std::string_view kOfIntegers = "bcdnoxX";
  if (const String* text = value.text()) {
    if ((spec.type != 0 && spec.type != 's') || spec.align == '=' || spec.sign != '-' || spec.grouping != 0) {
      refuse_type(execution, spec, value);
    }
    String shown = *text;
    if (spec.precision) {
      const auto all = characters(*text);
      const auto kept = std::min(static_cast<std::size_t>(*spec.precision), all.size());
      shown = kept < all.size() ? text->substr(0, static_cast<std::size_t>(all[kept].data() - text->data()))
                                : *text;
    }
    FormatSpec filled = spec;
    if (spec.zero && spec.align == 0) filled.fill.assign(1, '0');
    return padded(execution, filled, shown, '<');
  }
  const auto integer = value.integer();
  const bool as_integer = spec.type == 0 || kOfIntegers.find(spec.type) != std::string_view::npos;
  if ((integer || value.is_large()) && as_integer) {
    if (spec.precision) refuse_type(execution, spec, value);
    return integer ? formatted_integer(execution, spec, *integer)
                   : formatted_integer(execution, spec, *value.as<LargeInteger>());
  }
  if (!value.number() || spec.type == 's' || kOfIntegers.find(spec.type) < 3)
    refuse_type(execution, spec, value);
  return formatted_number(execution, spec, *value.number());
}

}  // namespace llamajit::jinja
