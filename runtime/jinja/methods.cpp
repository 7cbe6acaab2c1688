// The methods of strings, lists and dictionaries that templates call.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

using TextMethod = Value (*)(const Call& call, const std::string& text);

template <bool Left, bool Right>
Value strip(const Call& call, const std::string& text) {
  const std::string* const set = call.text(0, "chars");
  return call.execution.text(std::string(stripped(text, set != nullptr ? *set : kSpace, Left, Right)));
}

template <std::string (*Change)(std::string_view)>
Value changed(const Call& call, const std::string& text) {
  return call.execution.text(Change(text));
}

Value strings(const Call& call, const std::vector<std::string_view>& parts) {
  std::vector<Value> all;
  all.reserve(parts.size());
  for (const std::string_view part : parts) all.push_back(call.execution.text(std::string(part)));
  return call.execution.list(std::move(all));
}

std::string_view separator_of(const Call& call) {
  const std::string* const separator = call.text(0, "sep");
  if (separator == nullptr) return {};
  if (separator->empty()) call.execution.fail(call.name, "a separator", "an empty string");
  return *separator;
}

Value split_text(const Call& call, const std::string& text) {
  call.execution.allocate(text.size() * sizeof(Value));
  return strings(call, split(text, separator_of(call), static_cast<long>(call.integer(1, "maxsplit", -1))));
}

Value split_text_from_right(const Call& call, const std::string& text) {
  call.execution.allocate(text.size() * sizeof(Value));
  const std::string_view separator = separator_of(call);
  if (separator.empty()) call.execution.fail(call.name, "a separator", "none");
  return strings(call, split_from_right(text, separator, static_cast<long>(call.integer(1, "maxsplit", -1))));
}

Value split_lines(const Call& call, const std::string& text) {
  return strings(call, lines_of(text));
}

template <class Holds>
bool any_affix(const Call& call, const Holds& holds) {
  const Value& affix = call.required(0, "affix");
  if (affix.text() != nullptr) return holds(*affix.text());
  if (affix.list() == nullptr || !affix.list()->tuple) call.fail("a string or a tuple of them", affix);
  return std::ranges::any_of(affix.list()->items, [&](const Value& one) {
    if (one.text() == nullptr) call.fail("a tuple of strings", one);
    return holds(*one.text());
  });
}

Value starts_with(const Call& call, const std::string& text) {
  return any_affix(call, [&](const std::string& affix) { return text.starts_with(affix); });
}

Value ends_with(const Call& call, const std::string& text) {
  return any_affix(call, [&](const std::string& affix) { return text.ends_with(affix); });
}

Value replace(const Call& call, const std::string& text) {
  const std::string& from = call.required_text(0, "old");
  const std::string& to = call.required_text(1, "new");
  call.execution.allocate(text.size() +
                          (from.empty() ? text.size() + 1 : text.size() / from.size()) * to.size());
  return {replaced(text, from, to, static_cast<long>(call.integer(2, "count", -1)))};
}

Value position(const std::string& text, std::size_t byte) {
  if (byte == std::string::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(count_characters(std::string_view(text).substr(0, byte)));
}

Value find(const Call& call, const std::string& text) {
  return position(text, text.find(call.required_text(0, "sub")));
}

Value find_from_right(const Call& call, const std::string& text) {
  return position(text, text.rfind(call.required_text(0, "sub")));
}

Value count(const Call& call, const std::string& text) {
  const std::string& what = call.required_text(0, "sub");
  if (what.empty()) return static_cast<std::int64_t>(count_characters(text) + 1);
  return static_cast<std::int64_t>(split(text, what, -1).size() - 1);
}

Value join(const Call& call, const std::string& text) {
  std::string out;
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

Value without_prefix(const Call& call, const std::string& text) {
  const std::string& prefix = call.required_text(0, "prefix");
  return call.execution.text(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

Value without_suffix(const Call& call, const std::string& text) {
  const std::string& suffix = call.required_text(0, "suffix");
  return call.execution.text(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

template <bool (*Holds)(char)>
Value all_of(const Call&, const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, Holds);
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool is_space(char c) {
  return kSpace.find(c) != std::string_view::npos;
}

struct NamedTextMethod {
  std::string_view name;
  TextMethod method;
};

constexpr NamedTextMethod kTextMethods[] = {
    {"capitalize", changed<capitalized>},
    {"count", count},
    {"endswith", ends_with},
    {"find", find},
    {"isalpha", all_of<is_letter>},
    {"isdigit", all_of<is_digit>},
    {"isspace", all_of<is_space>},
    {"join", join},
    {"lower", changed<lower>},
    {"lstrip", strip<true, false>},
    {"removeprefix", without_prefix},
    {"removesuffix", without_suffix},
    {"replace", replace},
    {"rfind", find_from_right},
    {"rsplit", split_text_from_right},
    {"rstrip", strip<false, true>},
    {"split", split_text},
    {"splitlines", split_lines},
    {"startswith", starts_with},
    {"strip", strip<true, true>},
    {"title", changed<title>},
    {"upper", changed<upper>},
};

Value dict_get(const Call& call, const Dict& dict) {
  const Value& key = call.required(0, "key");
  const Value* const entry = key.text() != nullptr ? dict.find(*key.text()) : nullptr;
  if (entry != nullptr) return *entry;
  const Value* const otherwise = call.given(1, "default");
  return otherwise != nullptr ? *otherwise : Value(None{});
}

Value dict_items(const Call& call, const Dict& dict) {
  std::vector<Value> all;
  for (const auto& [key, value] : dict.entries) all.push_back(call.execution.list({Value(key), value}, true));
  return call.execution.list(std::move(all));
}

Value dict_keys(const Call& call, const Dict& dict) {
  std::vector<Value> all;
  for (const auto& entry : dict.entries) all.emplace_back(entry.first);
  return call.execution.list(std::move(all));
}

Value dict_values(const Call& call, const Dict& dict) {
  std::vector<Value> all;
  for (const auto& entry : dict.entries) all.push_back(entry.second);
  return call.execution.list(std::move(all));
}

Value list_index(const Call& call, const List& list) {
  const auto found = std::ranges::find_if(
      list.items, [&](const Value& item) { return equal(call.execution, item, call.required(0, "value")); });
  if (found == list.items.end()) call.execution.fail("index", "a value of the list", "another");
  return found - list.items.begin();
}

Value list_count(const Call& call, const List& list) {
  return std::ranges::count_if(
      list.items, [&](const Value& item) { return equal(call.execution, item, call.required(0, "value")); });
}

// A method that is tied to its object, which stays alive with it.
template <class Method>
Value bound(const std::string& name, const Value& object, Method method) {
  return Function{name, [name, object, method](Execution& execution, const Arguments& arguments) {
                    return method(Call{execution, name, arguments}, object);
                  }};
}

Value dict_method(const Value& value, const std::string& name) {
  using DictMethod = Value (*)(const Call&, const Dict&);
  const DictMethod method = name == "get"      ? dict_get
                            : name == "items"  ? dict_items
                            : name == "keys"   ? dict_keys
                            : name == "values" ? dict_values
                                               : nullptr;
  if (method == nullptr) return Undefined{name};
  return bound(name, value,
               [method](const Call& call, const Value& self) { return method(call, *self.dict()); });
}

}  // namespace

Value find_method(const Value& value, const std::string& name) {
  if (value.dict() != nullptr) return dict_method(value, name);
  if (value.list() != nullptr && (name == "index" || name == "count")) {
    const auto method = name == "index" ? list_index : list_count;
    return bound(name, value,
                 [method](const Call& call, const Value& self) { return method(call, *self.list()); });
  }
  if (value.text() == nullptr) return Undefined{name};
  const auto* const found = std::ranges::find(kTextMethods, name, &NamedTextMethod::name);
  if (found == std::end(kTextMethods)) return Undefined{name};
  return bound(name, value, [method = found->method](const Call& call, const Value& self) {
    return method(call, *self.text());
  });
}

}  // namespace llamajit::jinja
