#include "tools/common/printable.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "tokenizer/utf8.h"

namespace llamajit::cli {
namespace {

// Of a well-formed character.
char32_t code_point(std::string_view character) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(character[i]));
  };
  if (character.size() == 1) return byte(0);
  char32_t value = byte(0) & (0xFFU >> (character.size() + 1));
  for (std::size_t i = 1; i < character.size(); ++i) value = value << 6 | (byte(i) & 0x3F);
  return value;
}

bool controls(char32_t c) {
  const auto within = [&](char32_t first, char32_t last) { return first <= c && c <= last; };
  return c < 0x20 || within(0x7F, 0x9F)                        // C0, DEL and C1
         || within(0x2028, 0x202E) || within(0x2066, 0x2069);  // separators of lines, directions
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const std::string_view character = text.substr(0, n);
    const bool ill_formed = n == 1 && static_cast<unsigned char>(text.front()) >= 0x80;
    if (!ill_formed && !controls(code_point(character))) {
      shown += character;
    } else {
      for (const char byte : character) shown += fmt::format("\\x{:02X}", static_cast<unsigned char>(byte));
    }
    text.remove_prefix(n);
  }
  return shown;
}

}  // namespace llamajit::cli
