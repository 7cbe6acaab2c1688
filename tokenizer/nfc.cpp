#include "tokenizer/nfc.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <utf8proc.h>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);

struct Point {
  utf8proc_int32_t value;
  utf8proc_propval_t combining_class;
};

// A code point's canonical decomposition, of 4 code points at most.
struct Decomposition {
  std::array<utf8proc_int32_t, 4> points;
  std::size_t size;
};

Decomposition decompose(char32_t code_point) {
  Decomposition result{};
  int boundary = 0;  // of grapheme clusters, which nobody asks for
  result.size = static_cast<std::size_t>(
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code_point), result.points.data(),
                              static_cast<utf8proc_ssize_t>(result.points.size()), kOptions, &boundary));
  return result;
}

// Whether a character neither changes by itself nor composes with what is in front of it. There are characters
// of which that is true and that this denies: they cost time.
bool is_plain(char32_t c) {
  if (c < 0x300) return true;
  if (c >= 0xAC00 && c <= 0xD7A3) return true;                                     // whole syllables
  if ((c >= 0x1161 && c <= 0x1175) || (c >= 0x11A8 && c <= 0x11C2)) return false;  // a syllable's later parts
  if (c == 0x16D67) return false;                                                  // Kirat Rai's E
  const auto point = static_cast<utf8proc_int32_t>(c);
  const utf8proc_category_t category = utf8proc_category(point);
  const bool mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                    category == UTF8PROC_CATEGORY_ME;
  if (mark) return false;
  const Decomposition decomposition = decompose(c);
  return decomposition.size == 1 && decomposition.points[0] == point;
}

// The decompositions of a well-formed text's characters, accents in canonical order. utf8proc_decompose() puts
// them in order by exchanging neighbours, in quadratic time.
std::vector<utf8proc_int32_t> decomposed(std::string_view text) {
  std::vector<Point> points;
  while (!text.empty()) {
    const Decomposition decomposition = decompose(utf8_code_point(text));
    for (std::size_t i = 0; i < decomposition.size; ++i) {
      const utf8proc_int32_t value = decomposition.points[i];
      points.push_back({value, utf8proc_get_property(value)->combining_class});
    }
    text.remove_prefix(utf8_length(text));
  }
  const auto is_letter = [](const Point& point) { return point.combining_class == 0; };
  for (auto begin = points.begin(); begin != points.end();) {
    begin = std::find_if_not(begin, points.end(), is_letter);
    const auto end = std::find_if(begin, points.end(), is_letter);
    std::ranges::stable_sort(begin, end, {}, &Point::combining_class);
    begin = end;
  }
  std::vector<utf8proc_int32_t> values(points.size());
  std::ranges::transform(points, values.begin(), &Point::value);
  return values;
}

std::string composed(std::string_view text) {
  std::vector<utf8proc_int32_t> points = decomposed(text);
  const utf8proc_ssize_t size =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()), kOptions);
  points.resize(static_cast<std::size_t>(size));
  std::string result;
  for (const utf8proc_int32_t point : points) append_utf8(result, static_cast<char32_t>(point));
  return result;
}

bool all_plain(std::string_view text) {
  // The first bytes of the characters from U+0300 on.
  return std::ranges::none_of(text, [](char byte) { return static_cast<std::uint8_t>(byte) >= 0xCC; });
}

// Where the characters end that are not plain and that a text begins with.
std::size_t end_of_special(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    const std::string_view rest = text.substr(end);
    if (utf8_ill_formed(rest.substr(0, 4)) > 0 || is_plain(utf8_code_point(rest))) break;
    end += utf8_length(rest);
  }
  return end;
}

}  // namespace

std::optional<std::string> nfc(std::string_view text) {
  if (all_plain(text)) return std::nullopt;
  std::optional<std::string> result;
  std::size_t copied = 0;  // the bytes of the text that the result, if any, has
  std::size_t plain = 0;   // where the character begins that what comes may compose with
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const std::size_t length = utf8_length(rest);
    const bool is_text = length > 1 || static_cast<std::uint8_t>(rest[0]) < 0x80;
    const std::size_t special = is_text ? end_of_special(rest) : 0;
    if (special == 0) {
      plain = is_text ? at : at + 1;
      at += length;
      continue;
    }
    at += special;
    const std::string_view before = text.substr(plain, at - plain);
    if (std::string after = composed(before); after != before) {
      if (!result) result.emplace();
      result->append(text.substr(copied, plain - copied)).append(after);
      copied = at;
    }
    plain = at;
  }
  if (result) result->append(text.substr(copied));
  return result;
}

}  // namespace llamajit
