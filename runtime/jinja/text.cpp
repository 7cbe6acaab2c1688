#include "runtime/jinja/text.h"

#include <algorithm>
#include <array>

#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
char to_upper(char c) {
  return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
}
char to_lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); text.remove_prefix(utf8_length(text))) ++count;
  return count;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    all.push_back(text.substr(0, utf8_length(text)));
    text.remove_prefix(all.back().size());
  }
  return all;
}

std::string_view stripped(std::string_view text, std::string_view set, bool left, bool right) {
  const std::vector<std::string_view> members = characters(set);
  const auto in_set = [&](std::string_view c) { return std::ranges::count(members, c) > 0; };
  while (left && !text.empty() && in_set(text.substr(0, utf8_length(text)))) {
    text.remove_prefix(utf8_length(text));
  }
  while (right && !text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && text.size() - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) {
      --begin;
    }
    if (utf8_length(text.substr(begin)) != text.size() - begin) begin = text.size() - 1;
    if (!in_set(text.substr(begin))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), to_upper);
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), to_lower);
  return out;
}

std::string capitalized(std::string_view text) {
  std::string out = lower(text);
  if (!out.empty()) out[0] = to_upper(out[0]);
  return out;
}

std::string title(std::string_view text) {
  std::string out(text);
  bool in_word = false;
  for (char& c : out) {
    c = in_word ? to_lower(c) : to_upper(c);
    in_word = is_lower(c) || is_upper(c) || static_cast<unsigned char>(c) >= 0x80;
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to, long most) {
  std::string out;
  long done = 0;
  if (from.empty()) {
    for (const std::string_view c : characters(text)) {
      if (most < 0 || done++ < most) out += to;
      out += c;
    }
    if (most < 0 || done < most) out += to;
    return out;
  }
  for (std::size_t at; (most < 0 || done < most) && (at = text.find(from)) != std::string_view::npos;
       ++done) {
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator, long most) {
  std::vector<std::string_view> parts;
  const auto may_split = [&] { return most < 0 || std::ssize(parts) < most; };
  if (separator.empty()) {
    text = stripped(text, kSpace, true, false);
    while (!text.empty()) {
      const std::size_t end = may_split() ? text.find_first_of(kSpace) : std::string_view::npos;
      parts.push_back(text.substr(0, end));
      if (end == std::string_view::npos) break;
      text = stripped(text.substr(end), kSpace, true, false);
    }
    return parts;
  }
  for (std::size_t at; may_split() && (at = text.find(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator, long most) {
  std::vector<std::string_view> parts;
  for (std::size_t at;
       (most < 0 || std::ssize(parts) < most) && (at = text.rfind(separator)) != std::string_view::npos;) {
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::ranges::reverse(parts);
  return parts;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
  }
  return lines;
}

}  // namespace llamajit::jinja
