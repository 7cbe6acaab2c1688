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

constexpr int kFractionDigits = 6;

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

// A fraction of which some digit is not 0.
PartId fraction_above_0(JsonRules& json) {
  GrammarRules& rules = json.rules();
  std::vector<PartId> ways;
  for (int zeros = 0; zeros < kFractionDigits; ++zeros) {
    const std::string begin = fmt::format(".{}", std::string(static_cast<std::size_t>(zeros), '0'));
    ways.push_back(rules.sequence(
        {rules.literal(begin), rules.characters({{'1', '9'}}), json.digits(0, kFractionDigits - 1 - zeros)}));
  }
  return rules.choice(std::move(ways));
}

// Numbers without a sign from `min` >= 0 on; adds to `ways` what comes behind `sign`.
void add_magnitudes(JsonRules& json, std::string_view sign, NumberBound min, NumberBound max,
                    std::vector<PartId>& ways) {
  GrammarRules& rules = json.rules();
  const auto add = [&](PartId whole, PartId fraction) {
    ways.push_back(rules.sequence({rules.literal(sign), whole, fraction}));
  };
  const PartId any_fraction =
      rules.optional(rules.sequence({rules.literal("."), json.digits(1, kFractionDigits)}));
  const PartId no_fraction = rules.optional(
      rules.sequence({rules.literal("."), rules.repeat(rules.literal("0"), 1, kFractionDigits)}));
  std::int64_t first = min.value;
  if (min.is_excluded && first < max.value) {
    add(rules.literal(fmt::to_string(first)), fraction_above_0(json));
    ++first;
  }
  if (first < max.value) add(magnitudes(json, first, max.value - 1), any_fraction);
  if (!max.is_excluded && first <= max.value && !(min.is_excluded && max.value == min.value)) {
    add(rules.literal(fmt::to_string(max.value)), no_fraction);
  }
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

std::optional<PartId> numbers_between(JsonRules& json, std::optional<NumberBound> min,
                                      std::optional<NumberBound> max) {
  const NumberBound low = min.value_or(NumberBound{-kMostWholePart, false});
  const NumberBound high = max.value_or(NumberBound{kMostWholePart, false});
  if (low.value > high.value) return std::nullopt;
  std::vector<PartId> ways;
  if (high.value >= 0) add_magnitudes(json, "", low.value >= 0 ? low : NumberBound{0, false}, high, ways);
  if (low.value < 0) {
    // From 0, which has no sign, or from what lies nearest to it.
    const NumberBound nearest =
        high.value < 0 ? NumberBound{-high.value, high.is_excluded} : NumberBound{0, true};
    add_magnitudes(json, "-", nearest, {-low.value, low.is_excluded}, ways);
  }
  if (ways.empty()) return std::nullopt;
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
