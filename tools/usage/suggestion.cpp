#include "tools/usage/suggestion.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include <fmt/format.h>

namespace llamajit::cli {
namespace {

// Names differ by more than capitals, so a word in other ones is as near as can be.
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string_view letters(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  return name;
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table of all prefixes' distances: two before, one before, this one.
  std::vector<int> before2(b.size() + 1), before(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before2.swap(before);
    before.swap(row);
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const int change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before2[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr std::size_t kLeastBegin = 2;  // letters that tell something
  const std::string wanted = lower(letters(word));
  std::string best;
  int best_distance = std::numeric_limits<int>::max();
  for (const std::string& name : names) {
    const std::string candidate = lower(letters(name));
    const bool begins = wanted.size() >= kLeastBegin && candidate.starts_with(wanted);
    const int distance = begins ? 0 : edit_distance(wanted, candidate);
    const int bound =
        static_cast<int>(std::max<std::size_t>(1, std::max(wanted.size(), candidate.size()) / 3));
    // A short name is nothing but letters that are changed.
    if (distance > bound || distance >= static_cast<int>(candidate.size())) continue;
    if (distance >= best_distance) continue;
    best = name;
    best_distance = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names) {
  const std::string name = nearest(word, names);
  return name.empty() ? "" : fmt::format("; did you mean '{}'?", name);
}

}  // namespace llamajit::cli
