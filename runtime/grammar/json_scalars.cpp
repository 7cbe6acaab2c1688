#include "runtime/grammar/json_scalars.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "runtime/grammar/json_numbers.h"

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

std::optional<NumberBound> number_bound(const SchemaJson& schema, const std::string& where,
                                        const std::string& keyword, bool is_excluded) {
  if (!schema.contains(keyword)) return std::nullopt;
  const SchemaJson& value = schema[keyword];
  const bool fits = value.is_number() && has_type(value, "integer") &&
                    std::abs(value.get<double>()) <= static_cast<double>(kMostNumberBound);
  if (!fits) {
    refuse_schema(at_key(where, keyword),
                  fmt::format("a whole number within {}, as a bound of numbers", kMostNumberBound),
                  dumped(value));
  }
  return NumberBound{value.get<std::int64_t>(), is_excluded};
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

PartId number_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  // Bounds so far out that numbers without an exponent are all within them; what the nearest of these is.
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double far = kNone;
  const auto bound = [&](const std::string& keyword, int side) -> std::optional<NumberBound> {
    if (schema.contains(keyword) && schema[keyword].is_number()) {
      const double outwards = schema[keyword].get<double>() * side;
      if (outwards > static_cast<double>(kMostWholePart)) {
        far = std::min(far, outwards);
        return std::nullopt;
      }
    }
    return number_bound(schema, where, keyword, keyword.starts_with("exclusive"));
  };
  auto min = bound("minimum", -1);
  auto max = bound("maximum", 1);
  const auto above = bound("exclusiveMinimum", -1);
  const auto below = bound("exclusiveMaximum", 1);
  if (above && (!min || min->value <= above->value)) min = above;
  if (below && (!max || max->value >= below->value)) max = below;
  if (!min && !max) return far == kNone ? json.number() : numbers_within(json, far);
  const auto part = numbers_between(json, min, max);
  if (!part) refuse_schema(where, "bounds with a number between them", "none");
  return *part;
}

}  // namespace llamajit
