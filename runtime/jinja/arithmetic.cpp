#include "runtime/jinja/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/jinja/formatting.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

Value repeated(Execution& execution, const Value& sequence, std::int64_t times) {
  const auto n = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  const std::size_t size =
      sequence.text() != nullptr ? sequence.text()->size() : sequence.list()->items.size();
  std::size_t bytes = sequence.list() != nullptr ? sizeof(Value) : 1;
  if (__builtin_mul_overflow(bytes * size, n, &bytes)) bytes = std::numeric_limits<std::size_t>::max();
  if (sequence.text() != nullptr) execution.check_output(bytes);
  execution.allocate(bytes);
  if (const String* text = sequence.text()) {
    String out;
    if (size == 1) out.assign(n, text->front());
    for (std::size_t i = 0; i < n && size > 1; ++i) out += *text;
    return execution.text(std::move(out), sequence.is_markup());
  }
  Values items;
  for (std::size_t i = 0; i < n && size > 0; ++i) {
    items.insert(items.end(), sequence.list()->items.begin(), sequence.list()->items.end());
  }
  return execution.list(std::move(items), sequence.list()->is_tuple() ? List::Kind::tuple : List::Kind::list);
}

Value joined(Execution& execution, const List& a, const List& b) {
  execution.allocate((a.items.size() + b.items.size()) * sizeof(Value));
  Values items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return execution.list(std::move(items), a.is_tuple() ? List::Kind::tuple : List::Kind::list);
}

Value joined(Execution& execution, const String& a, const String& b) {
  execution.check_output(a.size() + b.size());
  String out;
  out.reserve(a.size() + b.size());
  return execution.text(out.append(a).append(b));
}

// Beside markup, what is none is escaped.
Value joined_texts(Execution& execution, const Value& a, const Value& b) {
  if (!a.is_markup() && !b.is_markup()) return joined(execution, *a.text(), *b.text());
  execution.work_on_characters(*a.text());
  execution.work_on_characters(*b.text());
  const auto markup = [](const Value& value) {
    return value.is_markup() ? *value.text() : escaped_for_html(*value.text());
  };
  return execution.text(markup(a) + markup(b), true);
}

bool may_be_added(const List& a, const List& b) {
  return (a.is_tuple() && b.is_tuple()) || (a.kind == List::Kind::list && b.kind == List::Kind::list);
}

std::int64_t integer_power(Execution& execution, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (bool too_large = false; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) too_large = __builtin_mul_overflow(result, base, &result);
    if (exponent > 1) too_large |= __builtin_mul_overflow(base, base, &base);
    if (too_large) execution.fail("arithmetic", "an integer of 64 bits", "a larger one");
  }
  return result;
}

// Rounded down, and a remainder with the divisor's sign, as Python has them.
std::int64_t divided(std::int64_t x, std::int64_t y) {
  return x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0);
}
std::int64_t remainder_of(std::int64_t x, std::int64_t y) {
  const std::int64_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

Value of_integers(Execution& execution, Operator op, std::int64_t x, std::int64_t y) {
  std::int64_t result = 0;
  bool too_large = false;
  const bool divides = op == Operator::divide_whole || op == Operator::remainder;
  if (divides && y == 0) execution.fail("arithmetic", "a divisor", "0");
  if (divides && y == -1) {  // the one division that can overflow
    too_large = op == Operator::divide_whole && __builtin_sub_overflow(std::int64_t{0}, x, &result);
  } else if (op == Operator::add) {
    too_large = __builtin_add_overflow(x, y, &result);
  } else if (op == Operator::subtract) {
    too_large = __builtin_sub_overflow(x, y, &result);
  } else if (op == Operator::multiply) {
    too_large = __builtin_mul_overflow(x, y, &result);
  } else if (op == Operator::divide_whole) {
    result = divided(x, y);
  } else if (op == Operator::remainder) {
    result = remainder_of(x, y);
  } else {
    result = integer_power(execution, x, y);
  }
  if (too_large) execution.fail("arithmetic", "an integer of 64 bits", "a larger one");
  return result;
}

Value of_numbers(Execution& execution, Operator op, double x, double y) {
  const bool divides = op == Operator::divide || op == Operator::divide_whole || op == Operator::remainder;
  if (divides && y == 0) execution.fail("arithmetic", "a divisor", "0");
  switch (op) {
    case Operator::add:
      return x + y;
    case Operator::subtract:
      return x - y;
    case Operator::multiply:
      return x * y;
    case Operator::divide:
      return x / y;
    case Operator::divide_whole:
      return std::floor(x / y);
    case Operator::remainder: {
      const double r = std::fmod(x, y);
      return r != 0 && (r < 0) != (y < 0) ? r + y : r;
    }
    default:
      return std::pow(x, y);
  }
}

}  // namespace

Value arithmetic(Execution& execution, Operator op, const Value& a, const Value& b) {
  const auto x = a.integer();
  const auto y = b.integer();
  if (x && y && op != Operator::divide && !(op == Operator::power && *y < 0)) {
    return of_integers(execution, op, *x, *y);
  }
  const bool are_integers =
      a.number() && b.number() && a.as<double>() == nullptr && b.as<double>() == nullptr;
  if ((a.is_large() || b.is_large()) && are_integers) {
    execution.fail("arithmetic", "integers of 64 bits", fmt::format("{} and {}", a.kind(), b.kind()));
  }
  if (a.number() && b.number()) return of_numbers(execution, op, *a.number(), *b.number());
  if (op == Operator::add && a.text() != nullptr && b.text() != nullptr) {
    return joined_texts(execution, a, b);
  }
  if (op == Operator::remainder && a.text() != nullptr) return formatted_by_percent(execution, a, b);
  if (op == Operator::add && a.list() != nullptr && b.list() != nullptr &&
      may_be_added(*a.list(), *b.list())) {
    return joined(execution, *a.list(), *b.list());
  }
  const auto repeats = [](const Value& v) {
    return v.text() != nullptr ||
           (v.list() != nullptr && (v.list()->is_tuple() || v.list()->kind == List::Kind::list));
  };
  if (op == Operator::multiply && repeats(a) && y) return repeated(execution, a, *y);
  if (op == Operator::multiply && repeats(b) && x) return repeated(execution, b, *x);
  execution.fail("operator", "values that go together", fmt::format("{} and {}", a.kind(), b.kind()));
}

Value concatenated(Execution& execution, const Value& a, const Value& b, bool escapes) {
  const auto text = [&](const Value& value) {
    return value.text() != nullptr ? value : Value(to_text(execution, value));
  };
  if (escapes) return joined_texts(execution, text(a), text(b));
  const Value x = text(a), y = text(b);
  return joined(execution, *x.text(), *y.text());
}

Value negated(Execution& execution, const Value& value) {
  if (value.integer() ||
      value.is_large()) {  // by its digits, as 64 bits hold one more negative one than positive ones
    const String digits = to_text(execution, value.is_large() ? value : Value(*value.integer()));
    return integer_of(digits[0] == '-' ? digits.substr(1) : '-' + digits);
  }
  if (const auto x = value.number()) return -*x;
  execution.fail("minus", "a number", value.kind());
}

}  // namespace llamajit::jinja
