// Values as Python's json.dumps() writes them.
#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Execution& execution, const JsonStyle& style) : execution_(execution), style_(style) {}

  String write(const Value& value, int level) {
    execution_.step();
    if (value.is_none()) return "null";
    if (const auto* truth = value.as<bool>()) return *truth ? "true" : "false";
    if (value.number()) return number_text(value);
    if (const auto* text = value.text()) return string_text(*text);
    if (const auto* list = value.list();
        list != nullptr && (list->is_tuple() || list->kind == List::Kind::list)) {
      const auto item = [&](const Value& x) { return write(x, level + 1); };
      return container(list->items, "[]", level, item);
    }
    if (const auto* dict = value.dict()) return write_dict(*dict, level);
    execution_.fail("tojson", "a value that JSON has", value.kind());
  }

 private:
  String number_text(const Value& value) const {
    const auto* const x = value.as<double>();
    if (x == nullptr || std::isfinite(*x)) return to_text(execution_, value);
    return std::isnan(*x) ? "NaN" : *x < 0 ? "-Infinity" : "Infinity";
  }

  String string_text(std::string_view text) const {
    execution_.work_on_characters(text);
    String out = "\"";
    for (const std::string_view c : EachCharacter(text)) {
      constexpr std::string_view kPlain = "\"\\\n\r\t\b\f";
      const std::size_t plain = kPlain.find(c[0]);
      if (plain != std::string_view::npos) {
        out += {'\\', "\"\\nrtbf"[plain]};
      } else if (code_point(c) < 0x20 || (style_.ascii && code_point(c) >= 0x7F)) {
        append_number(out, code_point(c));
      } else {
        out += c;
      }
    }
    return out + '"';
  }

  // Beyond 16 bits as two halves, as UTF-16 has them.
  static void append_number(String& out, char32_t c) {
    if (c < 0x10000) {
      out += printed_to_string("\\u{:04x}", static_cast<std::uint32_t>(c));
    } else {
      const auto beyond = static_cast<std::uint32_t>(c - 0x10000);
      out += printed_to_string("\\u{:04x}\\u{:04x}", 0xD800 | beyond >> 10, 0xDC00 | (beyond & 0x3FF));
    }
  }

  // Keys that are no strings become some.
  String key_text(const Value& key) {
    if (key.list() != nullptr) execution_.fail("tojson", "a key that JSON has", key.kind());
    return key.text() != nullptr ? string_text(*key.text()) : '"' + write(key, 0) + '"';
  }

  String write_dict(const Dict& dict, int level) {
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::ranges::stable_sort(
          entries, [&](const auto& a, const auto& b) { return compare(execution_, a.first, b.first) < 0; });
    }
    return container(entries, "{}", level, [&](const auto& entry) {
      return key_text(entry.first) + style_.key_separator + write(entry.second, level + 1);
    });
  }

  template <class Items, class Write>
  String container(const Items& items, std::string_view brackets, int level, const Write& write_item) {
    String out(1, brackets[0]);
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += item_separator();
      first = false;
      new_line(out, level + 1);
      const String written = write_item(item);
      execution_.work(written.size());  // it is copied once for each level
      out += written;
      execution_.check_output(out.size());
    }
    if (!first) new_line(out, level);
    return out + brackets[1];
  }

  String item_separator() const { return style_.item_separator.value_or(style_.indent ? "," : ", "); }
  void new_line(String& out, int level) {
    if (!style_.indent) return;
    execution_.allocate(style_.indent->size() * static_cast<std::size_t>(level));
    out += '\n';
    for (int i = 0; i < level; ++i) out += *style_.indent;
  }

  Execution& execution_;
  const JsonStyle& style_;
};

}  // namespace

String to_json(Execution& execution, const Value& value, const JsonStyle& style) {
  return JsonWriter(execution, style).write(value, 0);
}

}  // namespace llamajit::jinja
