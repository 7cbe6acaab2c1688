// What the values of options may be. Each check says what was expected and what was found.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

namespace llamajit::cli {

inline constexpr std::int64_t kMostInt = std::numeric_limits<int>::max();

// A decimal number without a fraction, for CLI11's transform(), as 010 becomes 10. `least_means` explains the least one, as in "-1 (no limit)".
CLI::Validator whole_number(std::int64_t least, std::int64_t most = kMostInt, std::string least_means = "");

// A finite decimal number.
CLI::Validator number(double least, double most);
CLI::Validator number_above_0(double most);

// Anything but nothing, which a shell's variable leaves that is not set; `what` says what was expected.
CLI::Validator not_empty(std::string what);

// Gives the option these values to choose from, in its help and its completions, too.
void choose_from(CLI::Option& option, const std::vector<std::string>& names);

// A seed: nothing for a negative number, as the clock is to give one. Throws CLI::ValidationError.
std::optional<std::uint64_t> parse_seed(const std::string& text);

}  // namespace llamajit::cli
