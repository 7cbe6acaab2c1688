#include "runtime/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <fmt/format.h>

#include "runtime/jinja/execution.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

std::string number_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", x);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string integer_or_number_text(const Value& value) {
  if (const auto* x = value.as<double>()) return number_text(*x);
  return fmt::to_string(*value.integer());
}

// The string between quotes as Python shows it.
std::string quoted(std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      if (c == quote || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + quote;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const std::string_view plain = "\"\\\n\r\t\b\f";
    const std::size_t i = plain.find(c);
    if (i != std::string_view::npos) {
      out += {'\\', "\"\\nrtbf"[i]};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class Items, class Write>
std::string joined(const Items& items, std::string_view open, std::string_view close, const Write& write) {
  std::string out(open);
  for (const auto& item : items) {
    if (out.size() > open.size()) out += ", ";
    out += write(item);
  }
  return out.append(close);
}

class JsonWriter {
 public:
  JsonWriter(Execution& execution, const JsonStyle& style) : execution_(execution), style_(style) {}

  std::string write(const Value& value, int level) {
    execution_.step();
    if (value.is_none()) return "null";
    if (const auto* truth = value.as<bool>()) return *truth ? "true" : "false";
    if (value.number()) return integer_or_number_text(value);
    if (const auto* text = value.text()) return json_string(*text);
    if (const auto* list = value.list()) {
      const auto item = [&](const Value& x) { return write(x, level + 1); };
      return container(list->items, "[]", level, item);
    }
    if (const auto* dict = value.dict()) return write_dict(*dict, level);
    execution_.fail("tojson", "a value that JSON has", value.kind());
  }

 private:
  std::string write_dict(const Dict& dict, int level) {
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::ranges::sort(entries, {}, [](const auto& entry) { return entry.first; });
    }
    return container(entries, "{}", level, [&](const auto& entry) {
      return json_string(entry.first) + style_.key_separator + write(entry.second, level + 1);
    });
  }

  template <class Items, class Write>
  std::string container(const Items& items, std::string_view brackets, int level, const Write& write_item) {
    std::string out(1, brackets[0]);
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += item_separator();
      first = false;
      new_line(out, level + 1);
      out += write_item(item);
      execution_.allocate(out.size() / 16 + 1);  // it is copied once for each level
    }
    if (!first) new_line(out, level);
    return out + brackets[1];
  }

  // Python leaves the space out where a new line follows, unless told otherwise.
  std::string item_separator() const {
    return style_.indent >= 0 && style_.item_separator == ", " ? "," : style_.item_separator;
  }
  void new_line(std::string& out, int level) {
    if (style_.indent < 0) return;
    const auto spaces = static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level);
    execution_.allocate(spaces);
    out.append(1, '\n').append(spaces, ' ');
  }

  Execution& execution_;
  const JsonStyle& style_;
};

}  // namespace

Value::Value(List list) {
  for (const Value& item : list.items) list.nesting = std::max(list.nesting, 1 + item.nesting());
  data_ = std::make_shared<const List>(std::move(list));
}

Value::Value(Dict dict) {
  for (const auto& [key, value] : dict.entries) dict.nesting = std::max(dict.nesting, 1 + value.nesting());
  data_ = std::make_shared<const Dict>(std::move(dict));
}

Value::Value(Function function) : data_(std::make_shared<const Function>(std::move(function))) {}

std::optional<std::int64_t> Value::integer() const {
  if (const auto* truth = as<bool>()) return *truth ? 1 : 0;
  if (const auto* integer = as<std::int64_t>()) return *integer;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* number = as<double>()) return *number;
  if (const auto i = integer()) return static_cast<double>(*i);
  return std::nullopt;
}

bool Value::truth() const {
  if (const auto x = number()) return *x != 0;
  if (const auto* t = text()) return !t->empty();
  if (const auto* l = list()) return !l->items.empty();
  if (const auto* d = dict()) return !d->entries.empty();
  return !is_none() && !is_undefined();
}

int Value::nesting() const {
  if (const auto* l = list()) return l->nesting;
  if (const auto* d = dict()) return d->nesting;
  return 0;
}

std::string_view Value::kind() const {
  constexpr std::string_view kNames[] = {"an undefined value", "none",      "a truth value", "an integer",
                                         "a number",           "a string",  "a list",        "a dictionary",
                                         "a namespace",        "a function"};
  static_assert(std::size(kNames) == std::variant_size_v<Data>);
  return kNames[data_.index()];
}

const Value* Dict::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, [](const auto& entry) { return entry.first; });
  return found == entries.end() ? nullptr : &found->second;
}

void Dict::set(const std::string& key, Value value) {
  const auto found = std::ranges::find(entries, key, [](const auto& entry) { return entry.first; });
  if (found != entries.end()) {
    found->second = std::move(value);
  } else {
    entries.emplace_back(key, std::move(value));
  }
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  if (place < positional.size()) return &positional[place];
  const auto found = std::ranges::find(named, name, [](const auto& argument) { return argument.first; });
  return found == named.end() ? nullptr : &found->second;
}

bool equal(Execution& execution, const Value& a, const Value& b) {
  execution.step();
  const auto same = [&](const Value& x, const Value& y) { return equal(execution, x, y); };
  if (const auto x = a.integer(), y = b.integer(); x && y) return *x == *y;
  if (const auto x = a.number(), y = b.number(); x || y) return x && y && *x == *y;
  if (const auto* x = a.text(), *y = b.text(); x != nullptr || y != nullptr) {
    return x != nullptr && y != nullptr && *x == *y;
  }
  if (const auto* x = a.list(), *y = b.list(); x != nullptr && y != nullptr) {
    return x->tuple == y->tuple && std::ranges::equal(x->items, y->items, same);
  }
  if (const auto* x = a.dict(), *y = b.dict(); x != nullptr && y != nullptr) {
    return x->entries.size() == y->entries.size() && std::ranges::all_of(x->entries, [&](const auto& entry) {
             const Value* const other = y->find(entry.first);
             return other != nullptr && same(entry.second, *other);
           });
  }
  if (a.is_none() || a.is_undefined()) return a.kind() == b.kind();
  if (a.space() != nullptr) return a.space() == b.space();
  return a.function() != nullptr && a.function() == b.function();
}

std::string to_text(Execution& execution, const Value& value) {
  if (const auto* text = value.text()) return *text;
  if (value.is_undefined()) return {};
  return to_repr(execution, value);
}

std::string to_repr(Execution& execution, const Value& value) {
  execution.step();
  const auto repr = [&](const Value& x) {
    std::string out = to_repr(execution, x);
    execution.allocate(out.size());  // it is copied once for each level
    return out;
  };
  if (value.is_none()) return "None";
  if (value.is_undefined()) return "Undefined";
  if (const auto* truth = value.as<bool>()) return *truth ? "True" : "False";
  if (value.number()) return integer_or_number_text(value);
  if (const auto* text = value.text()) return quoted(*text);
  if (const auto* list = value.list()) {
    if (!list->tuple) return joined(list->items, "[", "]", repr);
    return joined(list->items, "(", list->items.size() == 1 ? ",)" : ")", repr);
  }
  if (const auto* dict = value.dict()) {
    return joined(dict->entries, "{", "}",
                  [&](const auto& entry) { return quoted(entry.first) + ": " + repr(entry.second); });
  }
  execution.fail("printing", "a value that has a text", value.kind());
}

std::string to_json(Execution& execution, const Value& value, const JsonStyle& style) {
  return JsonWriter(execution, style).write(value, 0);
}

}  // namespace llamajit::jinja
