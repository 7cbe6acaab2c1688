// Filters for text and single values.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

std::string text_of(const Call& call, const Value& value) {
  return to_text(call.execution, value);
}

template <std::string (*Change)(std::string_view)>
Value changed(const Call& call, const Value& value) {
  return call.execution.text(Change(text_of(call, value)));
}

Value trim(const Call& call, const Value& value) {
  const std::string* const set = call.text(0, "chars");
  const std::string text = text_of(call, value);
  return call.execution.text(std::string(stripped(text, set != nullptr ? *set : kSpace, true, true)));
}

// How long the result may become, before it is made.
void allocate_replacement(const Call& call, std::size_t text, std::size_t from, std::size_t to) {
  call.execution.allocate(text + (from == 0 ? text + 1 : text / from) * to);
}

Value replace(const Call& call, const Value& value) {
  const std::string text = text_of(call, value);
  const std::string from = to_text(call.execution, call.required(0, "old"));
  const std::string to = to_text(call.execution, call.required(1, "new"));
  allocate_replacement(call, text.size(), from.size(), to.size());
  return {replaced(text, from, to, static_cast<long>(call.integer(2, "count", -1)))};
}

Value string(const Call& call, const Value& value) {
  return value.text() != nullptr ? value : call.execution.text(text_of(call, value));
}

Value default_value(const Call& call, const Value& value) {
  const bool take_other = value.is_undefined() || (call.truth(1, "boolean", false) && !value.truth());
  if (!take_other) return value;
  const Value* const other = call.given(0, "default_value");
  return other != nullptr ? *other : Value("");
}

Value to_json_filter(const Call& call, const Value& value) {
  JsonStyle style;
  constexpr std::int64_t kMostSpaces = 100;
  style.indent = static_cast<int>(std::min(call.integer(1, "indent", -1), kMostSpaces));
  // Jinja's own filter takes the indentation first; that of chat templates has it behind ensure_ascii.
  const Value* const first = call.arguments.positional.empty() ? nullptr : call.arguments.positional.data();
  if (first != nullptr && first->as<std::int64_t>() != nullptr) {
    style.indent = static_cast<int>(std::min(*first->integer(), kMostSpaces));
  }
  if (const Value* separators = call.given(2, "separators");
      separators != nullptr && !separators->is_none()) {
    const List* const pair = separators->list();
    if (pair == nullptr || pair->items.size() != 2 || pair->items[0].text() == nullptr ||
        pair->items[1].text() == nullptr) {
      call.fail("two strings as 'separators'", *separators);
    }
    style.item_separator = *pair->items[0].text();
    style.key_separator = *pair->items[1].text();
  }
  style.sort_keys = call.truth(3, "sort_keys", false);
  return call.execution.text(to_json(call.execution, value, style));
}

Value to_integer(const Call& call, const Value& value) {
  if (const auto integer = value.integer()) return *integer;
  const Value* const other = call.given(0, "default");
  Value otherwise = other != nullptr ? *other : Value(std::int64_t{0});
  double number = 0;
  if (const auto x = value.number()) {
    number = *x;
  } else if (const std::string* text = value.text()) {
    const std::string plain(stripped(*text, kSpace, true, true));
    char* end = nullptr;
    number = std::strtod(plain.c_str(), &end);
    if (plain.empty() || *end != '\0') return otherwise;
  } else {
    return otherwise;
  }
  constexpr double kLimit = 9.2e18;
  return std::abs(number) < kLimit ? Value(static_cast<std::int64_t>(number)) : otherwise;
}

Value to_float(const Call& call, const Value& value) {
  if (const auto x = value.number()) return *x;
  if (const std::string* text = value.text()) {
    const std::string plain(stripped(*text, kSpace, true, true));
    char* end = nullptr;
    const double number = std::strtod(plain.c_str(), &end);
    if (!plain.empty() && *end == '\0') return number;
  }
  const Value* const other = call.given(0, "default");
  return other != nullptr ? *other : Value(0.0);
}

Value absolute(const Call& call, const Value& value) {
  if (const auto integer = value.integer()) {
    if (*integer == std::numeric_limits<std::int64_t>::min())
      call.execution.fail("abs: the result is too large");
    return std::abs(*integer);
  }
  if (!value.number()) call.fail("a number", value);
  return std::abs(*value.number());
}

Value round_number(const Call& call, const Value& value) {
  if (!value.number()) call.fail("a number", value);
  const double scale = std::pow(
      10.0, static_cast<double>(std::clamp<std::int64_t>(call.integer(0, "precision", 0), -300, 300)));
  const std::string* const method = call.text(1, "method");
  const double x = *value.number() * scale;
  if (method != nullptr && *method == "ceil") return std::ceil(x) / scale;
  if (method != nullptr && *method == "floor") return std::floor(x) / scale;
  return std::nearbyint(x) / scale;
}

Value indent(const Call& call, const Value& value) {
  const std::string text = text_of(call, value);
  const Value* const width = call.given(0, "width");
  const std::int64_t count = std::clamp<std::int64_t>(
      width != nullptr && width->text() != nullptr ? 0 : call.integer(0, "width", 4), 0, 100);
  const std::string blanks = width != nullptr && width->text() != nullptr
                                 ? *width->text()
                                 : std::string(static_cast<std::size_t>(count), ' ');
  const bool blank_lines = call.truth(2, "blank", false);
  std::string out;
  bool indents = call.truth(1, "first", false);
  for (std::string_view rest = text;;) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (indents && (blank_lines || !line.empty() || rest.data() == text.data())) {
      call.execution.allocate(blanks.size());
      out += blanks;
    }
    out += line;
    indents = true;
    if (end == std::string_view::npos) break;
    out += '\n';
    rest.remove_prefix(end + 1);
  }
  return call.execution.text(std::move(out));
}

Value escape(const Call& call, const Value& value) {
  const std::string text = text_of(call, value);
  call.execution.allocate(text.size() * 5);
  std::string out;
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
  return {std::move(out)};
}

Value word_count(const Call& call, const Value& value) {
  return static_cast<std::int64_t>(split(text_of(call, value), "", -1).size());
}

constexpr NamedFilter kFilters[] = {
    {"abs", absolute},
    {"capitalize", changed<capitalized>},
    {"d", default_value},
    {"default", default_value},
    {"e", escape},
    {"escape", escape},
    {"float", to_float},
    {"indent", indent},
    {"int", to_integer},
    {"lower", changed<lower>},
    {"replace", replace},
    {"round", round_number},
    {"safe", string},
    {"string", string},
    {"title", changed<title>},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"upper", changed<upper>},
    {"wordcount", word_count},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kFilters, name, &NamedFilter::name);
  return found == std::end(kFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
