// The methods of strings that templates call.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/formatting.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

using TextMethod = Value (*)(const Call& call, const String& text);

template <bool Left, bool Right>
Value strip(const Call& call, const String& text) {
  const String* const set = call.text(0, "chars");
  return call.execution.text(
      String(set != nullptr ? stripped(text, *set, Left, Right) : stripped(text, Left, Right)));
}

template <String (*Change)(std::string_view)>
Value changed(const Call& call, const String& text) {
  return call.execution.text(Change(text));
}

Value strings(const Call& call, const Views& parts, List::Kind kind = List::Kind::list) {
  Values all;
  all.reserve(parts.size());
  for (const std::string_view part : parts) all.push_back(call.execution.text(String(part)));
  return call.execution.list(std::move(all), kind);
}

std::string_view separator_of(const Call& call) {
  const String* const separator = call.text(0, "sep");
  if (separator == nullptr) return {};
  if (separator->empty()) call.execution.fail(call.name, "a separator", "an empty string");
  return *separator;
}

template <Views (*Split)(std::string_view, std::string_view, long)>
Value split_text(const Call& call, const String& text) {
  call.execution.allocate(text.size() * sizeof(Value));
  return strings(call, Split(text, separator_of(call), static_cast<long>(call.integer(1, "maxsplit", -1))));
}

Value split_lines(const Call& call, const String& text) {
  call.execution.allocate(text.size() * sizeof(Value));
  return strings(call, lines_of(text, call.truth(0, "keepends", false)));
}

// What stands before the separator, it, and what stands behind it.
template <bool FromRight>
Value partition(const Call& call, const String& text) {
  const String& separator = call.required_text(0, "sep");
  if (separator.empty()) call.execution.fail(call.name, "a separator", "an empty string");
  const std::size_t at = FromRight ? last_found_in(text, separator) : found_in(text, separator);
  const std::string_view all = text;
  if (at == String::npos) {
    return strings(call, FromRight ? Views{"", "", all} : Views{all, {}, {}}, List::Kind::tuple);
  }
  return strings(call, {all.substr(0, at), separator, all.substr(at + separator.size())}, List::Kind::tuple);
}

// The part that the arguments behind `place` ask for by the numbers of its first and last character.
struct Part {
  std::string_view text;
  std::size_t begin;  // in bytes
  bool valid;         // it does not begin beyond the end
};

Part part_of(const Call& call, const String& text, std::size_t place) {
  const bool whole = call.given(place, "start") == nullptr && call.given(place + 1, "end") == nullptr;
  if (whole) return {text, 0, true};
  call.execution.allocate(text.size() * sizeof(std::string_view));
  const auto all = characters(text);
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t start = call.integer(place, "start", 0);
  const std::int64_t end = call.integer(place + 1, "end", size);
  const auto clamped = [&](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size);
  };
  const auto byte = [&](std::int64_t i) {
    return i < size ? static_cast<std::size_t>(all[static_cast<std::size_t>(i)].data() - text.data())
                    : text.size();
  };
  const std::size_t from = byte(clamped(start));
  const std::size_t to = std::max(byte(clamped(end)), from);
  return {std::string_view(text).substr(from, to - from), from,
          start <= size && clamped(start) <= clamped(end)};
}

template <class Holds>
bool any_affix(const Call& call, const Holds& holds) {
  const Value& affix = call.required(0, "affix");
  if (affix.text() != nullptr) return holds(*affix.text());
  if (affix.list() == nullptr || !affix.list()->is_tuple()) call.fail("a string or a tuple of them", affix);
  return std::ranges::any_of(affix.list()->items, [&](const Value& one) {
    if (one.text() == nullptr) call.fail("a tuple of strings", one);
    return holds(*one.text());
  });
}

Value starts_with(const Call& call, const String& text) {
  const Part part = part_of(call, text, 1);
  return any_affix(call, [&](const String& affix) { return part.valid && part.text.starts_with(affix); });
}

Value ends_with(const Call& call, const String& text) {
  const Part part = part_of(call, text, 1);
  return any_affix(call, [&](const String& affix) { return part.valid && part.text.ends_with(affix); });
}

Value replace(const Call& call, const String& text) {
  const String& from = call.required_text(0, "old");
  const String& to = call.required_text(1, "new");
  call.execution.allocate(text.size() +
                          (from.empty() ? text.size() + 1 : text.size() / from.size()) * to.size());
  return call.execution.text(replaced(text, from, to, static_cast<long>(call.integer(2, "count", -1))));
}

template <bool FromRight, bool MustBeThere>
Value find(const Call& call, const String& text) {
  const String& what = call.required_text(0, "sub");
  const Part part = part_of(call, text, 1);
  const std::size_t at = !part.valid ? String::npos
                         : FromRight ? last_found_in(part.text, what)
                                     : found_in(part.text, what);
  if (at != String::npos) {
    return static_cast<std::int64_t>(count_characters(std::string_view(text).substr(0, part.begin + at)));
  }
  if (MustBeThere) call.execution.fail(call.name, "a part of the string", "another string");
  return std::int64_t{-1};
}

Value count(const Call& call, const String& text) {
  const String& what = call.required_text(0, "sub");
  const Part part = part_of(call, text, 1);
  if (!part.valid) return std::int64_t{0};
  if (what.empty()) return static_cast<std::int64_t>(count_characters(part.text) + 1);
  return static_cast<std::int64_t>(split(part.text, what, -1).size() - 1);
}

Value join(const Call& call, const String& text) {
  String out;
  bool first = true;
  for (const Value& item : elements_of(call.execution, call.required(0, "iterable"))) {
    if (item.text() == nullptr) call.fail("strings", item);
    if (!first) out += text;
    first = false;
    out += *item.text();
    call.execution.check_output(out.size());
  }
  return call.execution.text(std::move(out));
}

Value without_prefix(const Call& call, const String& text) {
  const String& prefix = call.required_text(0, "prefix");
  return call.execution.text(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

Value without_suffix(const Call& call, const String& text) {
  const String& suffix = call.required_text(0, "suffix");
  return call.execution.text(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

// In a field of the width that is asked for.
template <char Align>
Value aligned(const Call& call, const String& text) {
  FormatSpec spec;
  spec.width = call.integer(0, "width", 0);
  if (const String* fill = call.text(1, "fillchar")) spec.fill = *fill;
  if (count_characters(spec.fill) != 1)
    call.execution.fail(call.name, "one character to fill with", "another number");
  // Where the blanks are odd in number and the width, too, str.center() puts one more before the text.
  const std::int64_t blanks = spec.width - static_cast<std::int64_t>(count_characters(text));
  if (Align == '^' && blanks > 0 && blanks % 2 == 1 && spec.width % 2 == 1) {
    call.execution.allocate(static_cast<std::size_t>(blanks));
    spec.width -= 1;
    return call.execution.text(spec.fill + padded(call.execution, spec, text, Align));
  }
  return call.execution.text(padded(call.execution, spec, text, Align));
}

// Zeros behind the sign.
Value filled_with_zeros(const Call& call, const String& text) {
  FormatSpec spec;
  spec.fill = "0";
  const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  spec.width = call.integer(0, "width", 0) - static_cast<std::int64_t>(sign);
  return call.execution.text(text.substr(0, sign) + padded(call.execution, spec, text.substr(sign), '>'));
}

Value expand_tabs(const Call& call, const String& text) {
  constexpr std::int64_t kWidestTab = 1000;
  const std::int64_t width = std::clamp<std::int64_t>(call.integer(0, "tabsize", 8), 0, kWidestTab);
  String out;
  std::int64_t column = 0;
  for (const std::string_view c : EachCharacter(text)) {
    if (c == "\t") {
      const std::int64_t blanks = width == 0 ? 0 : width - column % width;
      call.execution.check_output(out.size() + static_cast<std::size_t>(blanks));
      out.append(static_cast<std::size_t>(blanks), ' ');
      column += blanks;
    } else {
      out += c;
      column = c == "\n" || c == "\r" ? 0 : column + 1;
    }
  }
  return call.execution.text(std::move(out));
}

Value format(const Call& call, const String& text) {
  return formatted_by_braces(call.execution, Value(text), call.arguments);
}

Value format_by_map(const Call& call, const String& text) {
  const Value& map = call.required(0, "mapping");
  if (map.dict() == nullptr) call.fail("a dictionary", map);
  Arguments named;
  for (const auto& [key, value] : map.dict()->entries) {
    if (key.text() != nullptr) named.named.emplace_back(*key.text(), value);
  }
  return formatted_by_braces(call.execution, Value(text), named);
}

template <bool (*Holds)(char32_t)>
Value every(const Call&, const String& text) {
  for (const std::string_view c : EachCharacter(text)) {
    if (!Holds(code_point(c))) return false;
  }
  return !text.empty();
}
bool is_letter_or_digit(char32_t c) {
  return is_letter(c) || is_digit(c);
}

Value is_ascii(const Call&, const String& text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

template <bool (*Holds)(std::string_view)>
Value as_a_whole(const Call&, const String& text) {
  return Holds(text);
}

Value is_title(const Call&, const String& text) {
  return text == title(text) && lower(text) != upper(text);
}

struct NamedTextMethod {
  std::string_view name;
  TextMethod method;
  bool escapes = false;  // of markup: the strings that it is given
};

constexpr NamedTextMethod kTextMethods[] = {
    {"capitalize", changed<capitalized>},
    {"casefold", changed<lower>},
    {"center", aligned<'^'>, true},
    {"count", count},
    {"endswith", ends_with},
    {"expandtabs", expand_tabs},
    {"find", find<false, false>},
    {"format", format},
    {"format_map", format_by_map},
    {"index", find<false, true>},
    {"isalnum", every<is_letter_or_digit>},
    {"isalpha", every<is_letter>},
    {"isascii", is_ascii},
    {"isdecimal", every<is_digit>},
    {"isdigit", every<is_digit>},
    {"islower", as_a_whole<is_lower>},
    {"isnumeric", every<is_digit>},
    {"isspace", every<is_space>},
    {"istitle", is_title},
    {"isupper", as_a_whole<is_upper>},
    {"join", join, true},
    {"ljust", aligned<'<'>, true},
    {"lower", changed<lower>},
    {"lstrip", strip<true, false>, true},
    {"partition", partition<false>},
    {"removeprefix", without_prefix},
    {"removesuffix", without_suffix},
    {"replace", replace, true},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", aligned<'>'>, true},
    {"rpartition", partition<true>},
    {"rsplit", split_text<split_from_right>},
    {"rstrip", strip<false, true>, true},
    {"split", split_text<split>},
    {"splitlines", split_lines},
    {"startswith", starts_with},
    {"strip", strip<true, true>, true},
    {"swapcase", changed<swapped_case>},
    {"title", changed<title>},
    {"upper", changed<upper>},
    {"zfill", filled_with_zeros},
};

// Strings that are no markup become such, those within lists, too.
Value escaped_value(Execution& execution, const Value& value) {
  if (value.list() != nullptr) {
    Values items;
    for (const Value& item : value.list()->items) items.push_back(escaped_value(execution, item));
    return execution.list(std::move(items), value.list()->kind);
  }
  if (value.text() == nullptr || value.is_markup()) return value;
  return execution.text(escaped_for_html(*value.text()), true);
}

Value as_markup(Execution& execution, const Value& value) {
  if (value.text() != nullptr) return Text{value.as<Text>()->bytes, true};
  if (value.list() == nullptr) return value;
  Values items;
  for (const Value& item : value.list()->items) items.push_back(as_markup(execution, item));
  return execution.list(std::move(items), value.list()->kind);
}

// The method of a string that is markup: what it returns is, too.
Value call_on_markup(const Call& call, const NamedTextMethod& method, const Value& self) {
  Execution& execution = call.execution;
  if (method.method == format) return formatted_by_braces(execution, self, call.arguments);
  if (!method.escapes) return as_markup(execution, method.method(call, *self.text()));
  Arguments arguments;
  for (const Value& value : call.arguments.positional) {
    arguments.positional.push_back(escaped_value(execution, value));
  }
  for (const auto& [name, value] : call.arguments.named) {
    arguments.named.emplace_back(name, escaped_value(execution, value));
  }
  return as_markup(execution, method.method({execution, call.name, arguments}, *self.text()));
}

}  // namespace

Value find_text_method(const Value& value, std::string_view name) {
  const auto* const found = std::ranges::find(kTextMethods, name, &NamedTextMethod::name);
  if (found == std::end(kTextMethods)) return Undefined{String(name)};
  return Function{
      String(name), [name = found->name, value, found](Execution& execution, const Arguments& arguments) {
        const Call call{execution, name, arguments};
        work_on_texts(execution, value, arguments);
        return value.is_markup() ? call_on_markup(call, *found, value) : found->method(call, *value.text());
      }};
}

}  // namespace llamajit::jinja
