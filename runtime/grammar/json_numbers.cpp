#include "runtime/grammar/json_numbers.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace llamajit {
namespace {

bool all_are(std::string_view text, char c) {
  return text.find_first_not_of(c) == std::string_view::npos;
}

// Digits from `first` to `last`, which have one length.
PartId digits_between(JsonRules& json, std::string_view first, std::string_view last) {
  GrammarRules& rules = json.rules();
  if (first.empty()) return rules.literal("");
  const std::string_view first_rest = first.substr(1), last_rest = last.substr(1);
  const auto rest = static_cast<int>(first_rest.size());
  if (first[0] == last[0]) {
    return rules.sequence({rules.literal(first.substr(0, 1)), digits_between(json, first_rest, last_rest)});
  }
  std::vector<PartId> ways;
  char low = first[0], high = last[0];
  if (!all_are(first_rest, '0')) {
    ways.push_back(rules.sequence({rules.literal(first.substr(0, 1)),
                                   digits_between(json, first_rest, std::string(first_rest.size(), '9'))}));
    ++low;
  }
  if (!all_are(last_rest, '9')) {
    ways.push_back(rules.sequence({rules.literal(last.substr(0, 1)),
                                   digits_between(json, std::string(last_rest.size(), '0'), last_rest)}));
    --high;
  }
  if (low <= high) {
    const CodePointRange between{static_cast<char32_t>(low), static_cast<char32_t>(high)};
    ways.push_back(rules.sequence({rules.characters({between}), json.digits(rest, rest)}));
  }
  return rules.choice(std::move(ways));
}

// Numbers without a sign, no zeros in front.
PartId magnitudes(JsonRules& json, std::int64_t min, std::int64_t max) {
  std::vector<PartId> ways;
  // By how many digits they have.
  for (std::int64_t shortest = 0, longest = 9;; shortest = longest + 1, longest = longest * 10 + 9) {
    const std::int64_t first = std::max(min, shortest), last = std::min(max, longest);
    if (first <= last) ways.push_back(digits_between(json, fmt::to_string(first), fmt::to_string(last)));
    if (longest >= max) break;  // the next would be more than 64 bits hold
  }
  return json.rules().choice(std::move(ways));
}

// The digits behind the point from the one of `unit` millionths on, where those before it come to `begin`: so that the
// fraction lies between `first` and `last`.
PartId rest_of_fraction(JsonRules& json, std::int64_t begin, std::int64_t unit, std::int64_t first,
                        std::int64_t last) {
  GrammarRules& rules = json.rules();
  const auto is_within = [&](std::int64_t from, std::int64_t to) { return first <= from && to <= last; };
  int places = 0;
  for (std::int64_t u = unit; u > 0; u /= 10) ++places;
  if (is_within(begin, begin + unit * 10 - 1)) return json.digits(0, places);
  std::vector<PartId> ways;
  if (is_within(begin, begin)) ways.push_back(rules.literal(""));
  for (char32_t digit = '0'; digit <= '9' && unit > 0; ++digit, begin += unit) {
    if (begin > last || begin + unit - 1 < first) continue;
    ways.push_back(rules.sequence(
        {rules.characters({{digit, digit}}), rest_of_fraction(json, begin, unit / 10, first, last)}));
  }
  return rules.choice(std::move(ways));
}

// A point and digits that come to `first` to `last` millionths, or nothing, where that does.
PartId fraction_between(JsonRules& json, std::int64_t first, std::int64_t last) {
  GrammarRules& rules = json.rules();
  const std::int64_t unit = kMillion / 10;
  std::vector<PartId> ways;
  if (first == 0) ways.push_back(rules.literal(""));
  for (std::int64_t digit = first / unit; digit <= last / unit; ++digit) {
    ways.push_back(rules.sequence({rules.literal(fmt::format(".{}", digit)),
                                   rest_of_fraction(json, digit * unit, unit / 10, first, last)}));
  }
  return rules.choice(std::move(ways));
}

// Numbers from `min` >= 0 to `max`, in millionths, or to kMostWholePart; adds to `ways` what comes behind `sign`.
void add_magnitudes(JsonRules& json, std::string_view sign, std::int64_t min, std::optional<std::int64_t> max,
                    std::vector<PartId>& ways) {
  GrammarRules& rules = json.rules();
  const auto add = [&](PartId whole, PartId fraction) {
    ways.push_back(rules.sequence({rules.literal(sign), whole, fraction}));
  };
  const auto add_one = [&](std::int64_t whole, std::int64_t from, std::int64_t to) {
    add(rules.literal(fmt::to_string(whole)), fraction_between(json, from, to));
  };
  constexpr std::int64_t kLast = kMillion - 1;
  std::int64_t first = min / kMillion, last = max ? *max / kMillion : kMostWholePart;
  const std::int64_t from = min % kMillion, to = max ? *max % kMillion : kLast;
  if (first == last) return add_one(first, from, to);
  if (from > 0) add_one(first++, from, kLast);
  if (to < kLast) add_one(last--, 0, to);
  if (first > last) return;
  add(magnitudes(json, first, last),
      rules.optional(rules.sequence({rules.literal("."), json.digits(1, kFractionDigits)})));
}

}  // namespace

PartId integers_between(JsonRules& json, std::int64_t min, std::int64_t max) {
  GrammarRules& rules = json.rules();
  std::vector<PartId> ways;
  if (max >= 0) ways.push_back(magnitudes(json, std::max<std::int64_t>(min, 0), max));
  if (min < 0) {
    ways.push_back(
        rules.sequence({rules.literal("-"), magnitudes(json, std::max<std::int64_t>(-max, 1), -min)}));
  }
  return rules.choice(std::move(ways));
}

std::optional<PartId> numbers_between(JsonRules& json, std::optional<std::int64_t> min,
                                      std::optional<std::int64_t> max) {
  if (min && max && *min > *max) return std::nullopt;
  std::vector<PartId> ways;
  if (!max || *max >= 0) add_magnitudes(json, "", std::max<std::int64_t>(min.value_or(0), 0), max, ways);
  if (!min || *min < 0) {
    // From what lies nearest to 0, which has no sign.
    const std::int64_t nearest = max && *max < 0 ? -*max : 1;
    add_magnitudes(json, "-", nearest, min ? std::optional(-*min) : std::nullopt, ways);
  }
  return json.rules().choice(std::move(ways));
}

PartId numbers_within(JsonRules& json, double bound) {
  // A number has less than 16 digits and its exponent together; the double that it is read as may be that power of ten.
  const auto has_room = [&](int exponent) {
    constexpr double kMargin = 1 + 1e-9;  // more than pow() is wrong by
    return std::pow(10.0, JsonRules::kNumberDigits + exponent) * kMargin < bound;
  };
  int most = -1;
  while (most < JsonRules::kMostExponent && has_room(most + 1)) ++most;
  return most < 0 ? *numbers_between(json, std::nullopt, std::nullopt) : json.number(most);
}

}  // namespace llamajit
