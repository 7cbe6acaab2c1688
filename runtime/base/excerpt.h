#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace llamajit {

// For messages: a text of a file, which may be as long as the file, or where it is long its beginning, in whole characters
// of UTF-8.
inline std::string excerpt(std::string_view text) {
  constexpr std::size_t kMost = 300;  // bytes
  if (text.size() <= kMost) return std::string(text);
  std::size_t end = kMost;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  while (end > kMost - 4 && continues(text[end])) --end;
  return fmt::format("{}… ({} bytes)", text.substr(0, end), text.size());
}

}  // namespace llamajit
