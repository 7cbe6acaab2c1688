// Values as Python's str() and repr() show them.
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "runtime/jinja/execution.h"
#include "runtime/jinja/text.h"
#include "runtime/jinja/value.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

String number_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  String text = printed_to_string("{}", x);
  if (text.find_first_of(".e") == String::npos) text += ".0";
  return text;
}

// Characters that Python shows by their numbers: control and format characters, and blanks but the usual one.
bool is_shown_by_number(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD || (is_space(c) && c != ' ') ||
         (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
         (c >= 0xE000 && c <= 0xF8FF) || c == 0xFEFF;
}

String by_number(char32_t c) {
  const auto code = static_cast<std::uint32_t>(c);
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  return code < 0x100 ? printed_to_string("\\x{:02x}", code) : printed_to_string("\\u{:04x}", code);
}

// The string between quotes as Python shows it.
String quoted_text(std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  String out(1, quote);
  for (const std::string_view c : EachCharacter(text)) {
    if (is_shown_by_number(code_point(c))) {
      out += by_number(code_point(c));
    } else {
      if (c[0] == quote || c[0] == '\\') out += '\\';
      out += c;
    }
  }
  return out + quote;
}

template <class Items, class Write>
String joined(const Execution& execution, const Items& items, std::string_view open, std::string_view close,
              const Write& write) {
  String out(open);
  for (const auto& item : items) {
    if (out.size() > open.size()) out += ", ";
    out += write(item);
    execution.check_output(out.size());
  }
  return out.append(close);
}

}  // namespace

String to_text(Execution& execution, const Value& value) {
  if (const auto* text = value.text()) return *text;
  if (value.is_undefined()) return {};
  return to_repr(execution, value);
}

String to_repr(Execution& execution, const Value& value) {
  execution.step();
  const auto repr = [&](const Value& x) {
    String out = to_repr(execution, x);
    execution.work(out.size());  // it is copied once for each level
    execution.check_output(out.size());
    return out;
  };
  if (value.is_none()) return "None";
  if (value.is_undefined()) return "Undefined";
  if (const auto* truth = value.as<bool>()) return *truth ? "True" : "False";
  if (const auto* x = value.as<double>()) return number_text(*x);
  if (const auto integer = value.integer()) return printed_to_string("{}", *integer);
  if (const auto* large = value.as<LargeInteger>()) return *large->digits;
  if (const auto* text = value.text()) {
    execution.work_on_characters(*text);
    return value.is_markup() ? printed_to_string("Markup({})", quoted_text(*text)) : quoted_text(*text);
  }
  if (const auto* list = value.list(); list != nullptr && list->is_tuple()) {
    return joined(execution, list->items, "(", list->items.size() == 1 ? ",)" : ")", repr);
  }
  if (const auto* list = value.list(); list != nullptr && list->kind == List::Kind::list) {
    return joined(execution, list->items, "[", "]", repr);
  }
  if (const auto* dict = value.dict()) {
    return joined(execution, dict->entries, "{", "}",
                  [&](const auto& entry) { return repr(entry.first) + ": " + repr(entry.second); });
  }
  execution.fail("printing", "a value that has a text", value.kind());
}

}  // namespace llamajit::jinja
