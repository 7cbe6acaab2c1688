#include "runtime/grammar/json_scalars.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "runtime/grammar/decimal.h"
#include "runtime/grammar/json_multiples.h"
#include "runtime/grammar/json_numbers.h"
#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

constexpr std::int64_t kMaxCount = 100'000;  // of items and characters

std::optional<int> count_of(const SchemaJson& schema, const std::string& where, const std::string& keyword) {
  if (!schema.contains(keyword)) return std::nullopt;
  const SchemaJson& value = schema[keyword];
  if (!value.is_number() || !has_type(value, "integer") || value < 0 || value > kMaxCount) {
    refuse_schema(at_key(where, keyword), fmt::format("a whole number from 0 to {}", kMaxCount),
                  dumped(value));
  }
  return value.get<int>();
}

// The value of a bound, rounded upwards or downwards to a whole number; just beyond what is counted, if it is beyond.
std::optional<std::int64_t> whole_bound(const SchemaJson& schema, const std::string& where,
                                        const std::string& keyword, bool upwards) {
  if (!schema.contains(keyword)) return std::nullopt;
  const SchemaJson& value = schema[keyword];
  if (!value.is_number()) refuse_schema(at_key(where, keyword), "a number", dumped(value));
  const auto number = value.get<double>();
  if (number >= static_cast<double>(kMostInteger)) return kMostInteger + 1;
  if (number <= -static_cast<double>(kMostInteger)) return -kMostInteger - 1;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return static_cast<std::int64_t>(upwards ? std::ceil(number) : std::floor(number));
}

// A bound from below (side -1) or above (1) in millionths, rounded inwards, so that it is itself within.
std::optional<std::int64_t> number_bound(const SchemaJson& schema, const std::string& where,
                                         const std::string& keyword, int side) {
  if (!schema.contains(keyword)) return std::nullopt;
  const SchemaJson& value = schema[keyword];
  if (!value.is_number() || std::abs(value.get<double>()) > static_cast<double>(kMostNumberBound)) {
    refuse_schema(at_key(where, keyword),
                  fmt::format("a number within {}, as a bound of numbers", kMostNumberBound), dumped(value));
  }
  const auto [units, has_rest] = scaled_down(decimal_of(dumped(value)), kFractionDigits);
  const std::int64_t inwards = side < 0 && has_rest ? units + 1 : units;
  if (!keyword.starts_with("exclusive") || has_rest) return inwards;
  // Of 15 digits each has a double of its own; of more, one might be rounded onto the bound.
  constexpr std::int64_t kMostWithFraction = 999'999'999;
  const bool has_place = std::abs(units) <= kMostWithFraction * kMillion;
  return inwards - side * (has_place ? 1 : kMillion);
}

// What multipleOf says, as decimal_of().
std::optional<Decimal> divisor_of(const SchemaJson& schema, const std::string& where) {
  if (!schema.contains("multipleOf")) return std::nullopt;
  const SchemaJson& value = schema["multipleOf"];
  const double number = value.is_number() ? value.get<double>() : 0;
  if (number > 0 && number <= static_cast<double>(kMostInteger)) {
    const Decimal divisor = decimal_of(dumped(value));
    if (divisor.digits <= kMostMultiple && divisor.exponent <= kMostMultipleZeros &&
        divisor.exponent >= -kMostMultiplePlaces)
      return divisor;
  }
  refuse_schema(
      at_key(where, "multipleOf"),
      fmt::format(
          "a number above 0, of {} places behind the point and {} zeros at the end at most, which is at "
          "most {} without its point and these zeros",
          kMostMultiplePlaces, kMostMultipleZeros, kMostMultiple),
      dumped(value));
}

// The numbers of `part` that are multiples, too.
PartId multiples_among(JsonRules& json, PartId part, const Decimal& divisor, const SchemaJson& schema,
                       const std::string& type, const std::string& where) {
  GrammarRules& rules = json.rules();
  std::string name = fmt::format("multiples of {}e{}, {}", divisor.digits, divisor.exponent, type);
  for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
    if (schema.contains(keyword)) name += fmt::format(", {} {}", keyword, dumped(schema[keyword]));
  }
  const auto all = json.text_of(name, [&] {
    return intersection(AutomatonBuilder::written_out(rules, part), multiples(divisor, rules.work()),
                        rules.work());
  });
  if (!all) refuse_schema(where, "bounds with a multiple of multipleOf between them", "none");
  return *all;
}

PartId integer_within_bounds(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  const auto least = whole_bound(schema, where, "minimum", true);
  const auto above = whole_bound(schema, where, "exclusiveMinimum", false);
  const auto most = whole_bound(schema, where, "maximum", false);
  const auto below = whole_bound(schema, where, "exclusiveMaximum", true);
  if (!least && !above && !most && !below) return json.integer();
  std::int64_t min = -kMostInteger, max = kMostInteger;
  if (least) min = std::max(min, *least);
  if (above) min = std::max(min, *above + 1);
  if (most) max = std::min(max, *most);
  if (below) max = std::min(max, *below - 1);
  if (min > max) refuse_schema(where, "bounds with an integer of at most 18 digits between them", "none");
  return integers_between(json, min, max);
}

PartId number_within_bounds(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  // Bounds so far out that numbers without an exponent are all within them; what the nearest of these is.
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double far = kNone;
  const auto bound = [&](const std::string& keyword, int side) {
    if (schema.contains(keyword) && schema[keyword].is_number()) {
      const double outwards = schema[keyword].get<double>() * side;
      if (outwards > static_cast<double>(kMostWholePart)) {
        far = std::min(far, outwards);
        return std::optional<std::int64_t>();
      }
    }
    return number_bound(schema, where, keyword, side);
  };
  auto min = bound("minimum", -1), max = bound("maximum", 1);
  const auto above = bound("exclusiveMinimum", -1), below = bound("exclusiveMaximum", 1);
  if (above) min = std::max(min.value_or(*above), *above);
  if (below) max = std::min(max.value_or(*below), *below);
  const bool is_by_places = schema.contains("multipleOf");  // no multiple is looked for beyond an exponent
  if (!min && !max && !is_by_places) return far == kNone ? json.number() : numbers_within(json, far);
  const auto part = numbers_between(json, min, max);
  if (!part) refuse_schema(where, "bounds with a number between them", "none");
  return *part;
}

}  // namespace

std::pair<int, int> counts_of(const SchemaJson& schema, const std::string& where,
                              const std::string& min_keyword, const std::string& max_keyword) {
  const int min = count_of(schema, where, min_keyword).value_or(0);
  const int max = count_of(schema, where, max_keyword).value_or(-1);
  if (max >= 0 && max < min) {
    refuse_schema(at_key(where, max_keyword), fmt::format("at least {}", min), fmt::to_string(max));
  }
  return {min, max};
}

PartId integer_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  const PartId within = integer_within_bounds(json, schema, where);
  const auto divisor = divisor_of(schema, where);
  return divisor ? multiples_among(json, within, *divisor, schema, "integer", where) : within;
}

PartId number_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  const PartId within = number_within_bounds(json, schema, where);
  const auto divisor = divisor_of(schema, where);
  return divisor ? multiples_among(json, within, *divisor, schema, "number", where) : within;
}

}  // namespace llamajit
