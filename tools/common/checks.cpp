#include "tools/common/checks.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace {

// The whole text as a number, in decimal whatever it begins with; none where it is something else.
template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string range(std::int64_t least, std::int64_t most, const std::string& least_means) {
  const std::string first =
      least_means.empty() ? fmt::to_string(least) : fmt::format("{} ({})", least, least_means);
  return most == kMostInt ? fmt::format("{} or more", first) : fmt::format("{} to {}", first, most);
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most, std::string least_means) {
  return CLI::Validator(
      [=, means = std::move(least_means)](std::string& text) -> std::string {
        const auto value = parse<std::int64_t>(text);
        if (value && *value > most && most == kMostInt) {
          return fmt::format("expected a number up to {}, found '{}'", most, text);
        }
        if (!value || *value < least || *value > most) {
          return fmt::format("expected a whole number, {}, found '{}'", range(least, most, means), text);
        }
        text = fmt::to_string(*value);  // CLI11 would read 010 as 8
        return {};
      },
      "");
}

CLI::Validator number(double least, double most) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        const auto value = parse<double>(text);
        if (value && std::isfinite(*value) && *value >= least && *value <= most) return {};
        return fmt::format("expected a number, {} to {}, found '{}'", least, most, text);
      },
      "");
}

CLI::Validator number_above_0(double most) {
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        // As the float that it becomes, which may be 0 where the number is not.
        const auto value = parse<double>(text);
        if (value && static_cast<float>(*value) > 0 && *value <= most) return {};
        return fmt::format("expected a number above 0, up to {}, found '{}'", most, text);
      },
      "");
}

CLI::Validator not_empty(std::string what) {
  return CLI::Validator(
      [what = std::move(what)](std::string& text) -> std::string {
        return text.empty() ? fmt::format("expected {}, found ''", what) : std::string();
      },
      "");
}

void choose_from(CLI::Option& option, const std::vector<std::string>& names) {
  option.type_name(fmt::format("{}", fmt::join(names, "|")));
  option.check(CLI::Validator(
      [names](std::string& text) -> std::string {
        if (std::ranges::count(names, text) > 0) return {};
        return fmt::format("expected one of {}, found '{}'{}", fmt::join(names, ", "), text,
                           did_you_mean(text, names));
      },
      ""));
}

std::optional<std::uint64_t> parse_seed(const std::string& text) {
  if (const auto value = parse<std::uint64_t>(text)) return *value;
  const bool negative =
      text.size() > 1 && text.front() == '-' && text.find_first_not_of("0123456789", 1) == std::string::npos;
  if (negative) return std::nullopt;
  throw CLI::ValidationError("--seed",
                             fmt::format("expected 0 to {}, or less than 0 for the clock's, found '{}'",
                                         std::numeric_limits<std::uint64_t>::max(), text));
}

}  // namespace llamajit::cli
