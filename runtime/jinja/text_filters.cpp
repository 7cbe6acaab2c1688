// Filters for text.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/formatting.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

String text_of(const Call& call, const Value& value) {
  return to_text(call.execution, value);
}

template <String (*Change)(std::string_view)>
Value changed(const Call& call, const Value& value) {
  return call.execution.text(Change(text_of(call, value)), value.is_markup());
}

Value trim(const Call& call, const Value& value) {
  const String* const set = call.text(0, "chars");
  const String text = text_of(call, value);
  const std::string_view kept = set != nullptr ? stripped(text, *set, true, true) : stripped(text);
  return call.execution.text(String(kept), value.is_markup());
}

Value force_escape(const Call& call, const Value& value) {
  const String text = text_of(call, value);
  call.execution.allocate(text.size() * 6);
  return call.execution.text(escaped_for_html(text), true);
}

Value escape(const Call& call, const Value& value) {
  return value.is_markup() ? value : force_escape(call, value);
}

// How long the result may become, before it is made.
void allocate_replacement(const Call& call, std::size_t text, std::size_t from, std::size_t to) {
  call.execution.allocate(text + (from == 0 ? text + 1 : text / from) * to);
}

Value replace(const Call& call, const Value& value) {
  const Value &old = call.required(0, "old"), &other = call.required(1, "new");
  const bool escapes =
      call.execution.escapes() && (value.is_markup() || old.is_markup() || other.is_markup());
  const auto part = [&](const Value& v) {
    return escapes ? *escape(call, v).text() : to_text(call.execution, v);
  };
  const String text = part(value), from = part(old), to = part(other);
  allocate_replacement(call, text.size(), from.size(), to.size());
  const auto most = static_cast<long>(call.integer(2, "count", -1));
  return call.execution.text(replaced(text, from, to, most), escapes);
}

Value string(const Call& call, const Value& value) {
  return value.text() != nullptr ? value : call.execution.text(text_of(call, value));
}

// The arguments are those of chat templates' own tojson, which escapes nothing for HTML.
Value to_json_filter(const Call& call, const Value& value) {
  constexpr std::int64_t kMostSpaces = 100;
  JsonStyle style;
  style.ascii = call.truth(0, "ensure_ascii", false);
  const Value* const indent = call.given(1, "indent");
  if (indent != nullptr && indent->text() != nullptr) {
    style.indent = *indent->text();
  } else if (indent != nullptr && !indent->is_none()) {
    const std::int64_t spaces = std::clamp<std::int64_t>(call.integer(1, "indent", 0), 0, kMostSpaces);
    style.indent = String(static_cast<std::size_t>(spaces), ' ');
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

// Lines are those of str.splitlines(), and all end with '\n' then.
Value indent(const Call& call, const Value& value) {
  const String text = text_of(call, value);
  const Value* const width = call.given(0, "width");
  const std::int64_t count = std::clamp<std::int64_t>(
      width != nullptr && width->text() != nullptr ? 0 : call.integer(0, "width", 4), 0, 100);
  const String blanks = width != nullptr && width->text() != nullptr
                            ? *width->text()
                            : String(static_cast<std::size_t>(count), ' ');
  const bool blank_lines = call.truth(2, "blank", false);
  String out;
  call.execution.allocate(text.size() * sizeof(std::string_view));
  const String ended = text + "\n";
  bool first = true;
  for (const std::string_view line : lines_of(ended)) {
    if (!first) out += '\n';
    if (first ? call.truth(1, "first", false) : blank_lines || !line.empty()) {
      call.execution.allocate(blanks.size());
      out += blanks;
    }
    out += line;
    first = false;
    call.execution.check_output(out.size());
  }
  return call.execution.text(std::move(out), value.is_markup());
}

Value safe(const Call& call, const Value& value) {
  return call.execution.text(text_of(call, value), true);
}

// Runs of letters, digits and '_'.
Value word_count(const Call& call, const Value& value) {
  std::int64_t words = 0;
  bool in_word = false;
  const String text = text_of(call, value);
  for (const std::string_view c : EachCharacter(text)) {
    const char32_t code = code_point(c);
    const bool is_part = is_letter(code) || is_digit(code) || code == '_';
    words += is_part && !in_word ? 1 : 0;
    in_word = is_part;
  }
  return words;
}

Value center(const Call& call, const Value& value) {
  Arguments width;
  width.positional = {call.integer(0, "width", 80)};
  const Value text = call.execution.text(text_of(call, value), value.is_markup());
  return find_text_method(text, "center").function()->call(call.execution, width);
}

// 'format'|format(values), as 'format' % values.
Value percent_format(const Call& call, const Value& value) {
  const Value text = call.execution.text(text_of(call, value), value.is_markup());
  if (call.arguments.named.empty()) {
    return formatted_by_percent(call.execution, text, call.execution.tuple(call.arguments.positional));
  }
  if (!call.arguments.positional.empty())
    call.execution.fail("format", "arguments all with names or none", "some");
  Dict named;
  for (const auto& [name, argument] : call.arguments.named) named.set(name, argument);
  return formatted_by_percent(call.execution, text, call.execution.dict(std::move(named)));
}

// Without the last word, unless told to cut it, and with an end that says so.
Value truncate(const Call& call, const Value& value) {
  if (value.text() == nullptr) call.fail("a string", value);
  const String& text = *value.text();
  const std::int64_t length = call.integer(0, "length", 255);
  const String* const given = call.text(2, "end");
  const String end = given != nullptr ? *given : "...";
  const std::int64_t leeway = call.integer(3, "leeway", 5);
  const std::int64_t kept = length - static_cast<std::int64_t>(count_characters(end));
  if (kept < 0 || leeway < 0)
    call.execution.fail("truncate", "a length of at least the end's", fmt::to_string(length));
  call.execution.allocate(text.size() * sizeof(std::string_view));
  const auto all = characters(text);
  if (std::ssize(all) <= length + leeway) return value;
  const String cut =
      text.substr(0, static_cast<std::size_t>(all[static_cast<std::size_t>(kept)].data() - text.data()));
  const bool cuts_words = call.truth(1, "killwords", false);
  return call.execution.text(cut.substr(0, cuts_words ? String::npos : cut.rfind(' ')) + end);
}

// Without <tags> and comments, and with single blanks.
Value strip_tags(const Call& call, const Value& value) {
  String text = text_of(call, value);
  const auto remove = [&](std::string_view begin, std::string_view end) {
    String out;
    std::string_view rest = text;
    for (std::size_t from; (from = found_in(rest, begin)) != String::npos;) {
      const std::size_t behind = from + begin.size();
      const std::size_t to = found_in(rest.substr(behind), end);
      if (to == String::npos) break;
      out.append(rest.substr(0, from));
      rest.remove_prefix(behind + to + end.size());
    }
    text = out.append(rest);
  };
  remove("<!--", "-->");
  remove("<", ">");
  String out;
  for (const std::string_view word : split(text, "", -1)) out.append(out.empty() ? "" : " ").append(word);
  constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&#39;", "'"}, {"&#34;", "\""}, {"&quot;", "\""}, {"&amp;", "&"}};
  for (const auto& [entity, meaning] : kEntities) out = replaced(out, entity, meaning, -1);
  return call.execution.text(std::move(out));
}

String quoted_for_url(std::string_view text, bool query) {
  String out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos || (c == '/' && !query);
    if (plain) {
      out += c;
    } else if (c == ' ' && query) {
      out += '+';
    } else {
      out += printed_to_string("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

// A text, or a dictionary or pairs as a query.
Value url_encode(const Call& call, const Value& value) {
  if (value.dict() == nullptr && value.list() == nullptr) {
    return call.execution.text(quoted_for_url(text_of(call, value), false));
  }
  String out;
  const Value pairs = value.dict() != nullptr ? apply_filter(call.execution, "items", value, {}) : value;
  for (const Value& pair : elements_of(call.execution, pairs)) {
    const Values parts = elements_of(call.execution, pair);
    if (parts.size() != 2) call.fail("pairs", pair);
    out += printed_to_string("{}{}={}", out.empty() ? "" : "&", quoted_for_url(text_of(call, parts[0]), true),
                             quoted_for_url(text_of(call, parts[1]), true));
    call.execution.check_output(out.size());
  }
  return call.execution.text(std::move(out));
}

constexpr NamedFilter kTextFilters[] = {
    {"capitalize", changed<capitalized>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"forceescape", force_escape},
    {"format", percent_format},
    {"indent", indent},
    {"lower", changed<lower>},
    {"replace", replace},
    {"safe", safe},
    {"string", string},
    {"striptags", strip_tags},
    {"title", changed<title_of_words>},
    {"tojson", to_json_filter},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", changed<upper>},
    {"urlencode", url_encode},
    {"wordcount", word_count},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kTextFilters, name, &NamedFilter::name);
  return found == std::end(kTextFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
