#include "tools/usage/completion.h"

#include <algorithm>
#include <array>

namespace llamajit::cli {

ValueKind value_kind(std::string_view value) {
  constexpr std::array<std::string_view, 4> kFiles = {"FILE", "FILE|none", "IN", "OUT"};
  if (std::ranges::count(kFiles, value) > 0) return ValueKind::file;
  if (value.find('|') != std::string_view::npos) return ValueKind::choices;
  if (value == "DIR" || value == "FOLDER") return ValueKind::folder;
  if (value == "MODEL") return ValueKind::model;
  return ValueKind::anything;
}

std::vector<std::string> choices_of(std::string_view value) {
  std::vector<std::string> choices;
  for (;;) {
    const std::size_t end = std::min(value.find('|'), value.size());
    choices.emplace_back(value.substr(0, end));
    if (end == value.size()) return choices;
    value.remove_prefix(end + 1);
  }
}

std::string filled(std::string_view script, const std::map<std::string_view, std::string>& values) {
  std::string out;
  while (!script.empty()) {
    const auto found =
        std::ranges::find_if(values, [&](const auto& v) { return script.starts_with(v.first); });
    out += found == values.end() ? std::string(1, script.front()) : found->second;
    script.remove_prefix(found == values.end() ? 1 : found->first.size());
  }
  return out;
}

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + '\'';
}

}  // namespace llamajit::cli
