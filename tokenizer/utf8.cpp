#include "tokenizer/utf8.h"

#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

// One of these stands at the front of a text.
enum class Front { character, beginning_of_character, ill_formed };

struct Scan {
  Front front;
  std::size_t length;  // bytes of the character, or of what is there of it
};

// The character's length by its first byte, 0 for a byte that begins none: C0, C1 and F5..FF would be
// overlong or beyond U+10FFFF.
std::size_t length_by_lead(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// After some first bytes the second one's range is narrower than 80..BF, which rules out overlong forms,
// surrogates and code points above U+10FFFF.
bool second_fits(std::uint8_t lead, std::uint8_t second) {
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return low <= second && second <= high;
}

Scan scan_front(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::size_t length = length_by_lead(byte(0));
  if (length == 0) return {Front::ill_formed, 1};
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Front::beginning_of_character, i};
    const bool fits = i == 1 ? second_fits(byte(0), byte(1)) : (byte(i) & 0xC0) == 0x80;
    if (!fits) return {Front::ill_formed, 1};
  }
  return {Front::character, length};
}

// Unicode's White_Space.
bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_white_space(std::string_view character) {
  return scan_front(character).front == Front::character && is_white_space(utf8_code_point(character));
}

// Where the last character of a text begins, or its last byte if that ends none.
std::size_t last_character(std::string_view text) {
  for (std::size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    const Scan scan = scan_front(text.substr(text.size() - length));
    if (scan.front == Front::character && scan.length == length) return text.size() - length;
  }
  return text.size() - 1;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const Scan scan = scan_front(text);
  return scan.front == Front::character ? scan.length : 1;
}

std::size_t utf8_well_formed(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    const Scan scan = scan_front(text.substr(end));
    if (scan.front != Front::character) break;
    end += scan.length;
  }
  return end;
}

std::size_t utf8_ill_formed(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && scan_front(text.substr(end)).front != Front::character) ++end;
  return end;
}

char32_t utf8_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return char32_t{static_cast<std::uint8_t>(text[i])}; };
  const std::size_t length = length_by_lead(static_cast<std::uint8_t>(text[0]));
  if (length == 1) return byte(0);
  char32_t code_point = byte(0) & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) code_point = code_point << 6 | (byte(i) & 0x3F);
  return code_point;
}

void append_utf8(std::string& text, char32_t code_point) {
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
    return;
  }
  const int more = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;  // bytes behind the first
  text += static_cast<char>((0xFF00U >> (more + 1) & 0xFF) | code_point >> (6 * more));
  for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (code_point >> (6 * i) & 0x3F));
}

std::string_view without_leading_space(std::string_view text) {
  while (!text.empty() && is_white_space(text)) text.remove_prefix(utf8_length(text));
  return text;
}

std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const std::size_t last = last_character(text);
    if (!is_white_space(text.substr(last))) break;
    text = text.substr(0, last);
  }
  return text;
}

std::string escaped(std::string_view bytes) {
  std::string shown;
  while (!bytes.empty()) {
    const std::size_t n = utf8_length(bytes);
    const auto first = static_cast<unsigned char>(bytes[0]);
    const bool printable = n > 1 || (first >= 0x20 && first < 0x7F && first != '\\');
    if (printable) {
      shown += bytes.substr(0, n);
    } else {
      shown += first == '\\' ? std::string("\\\\") : fmt::format("\\x{:02X}", first);
    }
    bytes.remove_prefix(n);
  }
  return shown;
}

std::string Utf8Stream::push(std::string_view bytes) {
  std::string out = std::move(pending_);
  pending_.clear();
  out += bytes;
  // Only the last three bytes can be the beginning of a character, but which of them begins one shows only
  // from the front: a continuation byte alone tells nothing.
  std::size_t at = 0;
  while (at < out.size()) {
    const Scan scan = scan_front(std::string_view(out).substr(at));
    if (scan.front == Front::beginning_of_character) break;
    at += scan.length;
  }
  pending_.assign(out, at);
  out.resize(at);
  return out;
}

std::string Utf8Stream::finish() {
  std::string rest = std::move(pending_);
  pending_.clear();
  return rest;
}

}  // namespace llamajit
