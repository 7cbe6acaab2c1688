#include "runtime/jinja/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

// The beginning of the last character of `text`, which is not empty.
std::size_t last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
    --begin;
  }
  return utf8_length(text.substr(begin)) == text.size() - begin ? begin : text.size() - 1;
}

template <class Drops>
std::string_view without(std::string_view text, const Drops& drops, bool left, bool right) {
  while (left && !text.empty() && drops(text.substr(0, utf8_length(text)))) {
    text.remove_prefix(utf8_length(text));
  }
  while (right && !text.empty() && drops(text.substr(last_character(text)))) {
    text = text.substr(0, last_character(text));
  }
  return text;
}

bool is_blank(std::string_view character) {
  return is_space(code_point(character));
}

// Where str.splitlines() ends a line.
bool ends_line(char32_t c) {
  return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= ' ') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

char32_t code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  switch (utf8_length(text)) {
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    case 4:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    default:
      return byte(0) < 0x80 ? byte(0) : 0xFFFD;
  }
}

String utf8_of(char32_t c) {
  const auto byte = [](char32_t x) { return static_cast<char>(static_cast<unsigned char>(x)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F))};
  if (c < 0x10000) return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
  return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)),
          byte(0x80 | (c & 0x3F))};
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for ([[maybe_unused]] const std::string_view c : EachCharacter(text)) ++count;
  return count;
}

Views characters(std::string_view text) {
  Views all;
  for (const std::string_view c : EachCharacter(text)) all.push_back(c);
  return all;
}

std::string_view stripped(std::string_view text, bool left, bool right) {
  return without(text, is_blank, left, right);
}

std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right) {
  Views members = characters(set);
  std::ranges::sort(members);
  return without(
      text, [&](std::string_view c) { return std::ranges::binary_search(members, c); }, left, right);
}

std::size_t found_in(std::string_view text, std::string_view part) {
  if (part.empty()) return 0;
  const void* const found = memmem(text.data(), text.size(), part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

// Knuth, Morris and Pratt's, from the right.
std::size_t last_found_in(std::string_view text, std::string_view part) {
  constexpr std::size_t kShort = 32;
  if (part.size() <= kShort) return text.rfind(part);
  if (part.size() > text.size()) return std::string_view::npos;
  const auto of_part = [&](std::size_t i) { return part[part.size() - 1 - i]; };
  std::vector<std::uint32_t, Counted<std::uint32_t>> borders(part.size());  // of what ends the part
  for (std::size_t i = 1, n = 0; i < part.size(); ++i) {
    while (n > 0 && of_part(i) != of_part(n)) n = borders[n - 1];
    if (of_part(i) == of_part(n)) ++n;
    borders[i] = static_cast<std::uint32_t>(n);
  }
  for (std::size_t at = text.size(), n = 0; at-- > 0;) {
    while (n > 0 && text[at] != of_part(n)) n = borders[n - 1];
    if (text[at] == of_part(n)) ++n;
    if (n == part.size()) return at;
  }
  return std::string_view::npos;
}

String replaced(std::string_view text, std::string_view from, std::string_view to, long most) {
  String out;
  long done = 0;
  if (from.empty()) {
    for (const std::string_view c : EachCharacter(text)) {
      if (most < 0 || done++ < most) out += to;
      out += c;
    }
    if (most < 0 || done < most) out += to;
    return out;
  }
  for (std::size_t at; (most < 0 || done < most) && (at = found_in(text, from)) != std::string_view::npos;
       ++done) {
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

Views split(std::string_view text, std::string_view separator, long most) {
  Views parts;
  const auto may_split = [&] { return most < 0 || std::ssize(parts) < most; };
  if (separator.empty()) {
    text = stripped(text, true, false);
    while (!text.empty()) {
      std::size_t end = may_split() ? 0 : text.size();
      while (end < text.size() && !is_blank(text.substr(end))) end += utf8_length(text.substr(end));
      parts.push_back(text.substr(0, end));
      text = stripped(text.substr(end), true, false);
    }
    return parts;
  }
  for (std::size_t at; may_split() && (at = found_in(text, separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

Views split_from_right(std::string_view text, std::string_view separator, long most) {
  Views parts;
  const auto may_split = [&] { return most < 0 || std::ssize(parts) < most; };
  if (separator.empty()) {
    text = stripped(text, false, true);
    while (!text.empty()) {
      std::size_t begin = may_split() ? text.size() : 0;
      while (begin > 0 && !is_blank(text.substr(last_character(text.substr(0, begin))))) {
        begin = last_character(text.substr(0, begin));
      }
      parts.push_back(text.substr(begin));
      text = stripped(text.substr(0, begin), false, true);
    }
  } else {
    for (std::size_t at; may_split() && (at = last_found_in(text, separator)) != std::string_view::npos;) {
      parts.push_back(text.substr(at + separator.size()));
      text = text.substr(0, at);
    }
    parts.push_back(text);
  }
  std::ranges::reverse(parts);
  return parts;
}

Views lines_of(std::string_view text, bool with_ends) {
  Views lines;
  while (!text.empty()) {
    std::size_t end = 0;
    while (end < text.size() && !ends_line(code_point(text.substr(end))))
      end += utf8_length(text.substr(end));
    const std::string_view rest = text.substr(end);
    const std::size_t newline = rest.empty() ? 0 : rest.starts_with("\r\n") ? 2 : utf8_length(rest);
    lines.push_back(text.substr(0, with_ends ? end + newline : end));
    text.remove_prefix(end + newline);
  }
  return lines;
}

std::string shown_text(std::string_view text) {
  constexpr std::size_t kLongest = 4096;
  return text.size() <= kLongest ? escaped(text) : escaped(text.substr(0, kLongest)) + "...";
}

String escaped_for_html(std::string_view text) {
  String out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '\'') {
      out += "&#39;";
    } else if (c == '"') {
      out += "&#34;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace llamajit::jinja
