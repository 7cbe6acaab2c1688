// The methods of lists and dictionaries that templates call.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/jinja/call.h"

namespace llamajit::jinja {
namespace {

Value dict_get(const Call& call, const Dict& dict) {
  const Value& key = call.required(0, "key");
  may_be_key(call.execution, key);  // what the look-up takes
  const Value* const entry = dict.find_key(key);
  if (entry != nullptr) return *entry;
  const Value* const otherwise = call.given(1, "default");
  return otherwise != nullptr ? *otherwise : Value(None{});
}

Value dict_items(const Call& call, const Dict& dict) {
  call.execution.work(dict.entries.size() * sizeof(List));
  Values all;
  for (const auto& [key, value] : dict.entries) all.push_back(call.execution.tuple({key, value}));
  return call.execution.list(std::move(all), List::Kind::items);
}

Value dict_keys(const Call& call, const Dict& dict) {
  call.execution.work(dict.entries.size() * sizeof(Value));
  Values all;
  for (const auto& entry : dict.entries) all.push_back(entry.first);
  return call.execution.list(std::move(all), List::Kind::keys);
}

Value dict_values(const Call& call, const Dict& dict) {
  call.execution.work(dict.entries.size() * sizeof(Value));
  Values all;
  for (const auto& entry : dict.entries) all.push_back(entry.second);
  return call.execution.list(std::move(all), List::Kind::values);
}

Value dict_copy(const Call& call, const Dict& dict) {
  return call.execution.dict(dict);
}

Value list_index(const Call& call, const List& list) {
  const auto found = std::ranges::find_if(
      list.items, [&](const Value& item) { return equal(call.execution, item, call.required(0, "value")); });
  if (found == list.items.end()) call.execution.fail("index", "a value of the list", "another");
  return found - list.items.begin();
}

Value list_copy(const Call& call, const List& list) {
  return call.execution.list(list.items);
}

Value list_count(const Call& call, const List& list) {
  return std::ranges::count_if(
      list.items, [&](const Value& item) { return equal(call.execution, item, call.required(0, "value")); });
}

// A method that is tied to its object, which stays alive with it.
template <class Method>
Value bound(std::string_view name, const Value& object, Method method) {
  return Function{String(name),
                  [name = String(name), object, method](Execution& execution, const Arguments& arguments) {
                    return method(Call{execution, name, arguments}, object);
                  }};
}

Value dict_method(const Value& value, std::string_view name) {
  using DictMethod = Value (*)(const Call&, const Dict&);
  const DictMethod method = name == "get"      ? dict_get
                            : name == "items"  ? dict_items
                            : name == "keys"   ? dict_keys
                            : name == "values" ? dict_values
                            : name == "copy"   ? dict_copy
                                               : nullptr;
  if (method == nullptr) return Undefined{String(name)};
  return bound(name, value,
               [method](const Call& call, const Value& self) { return method(call, *self.dict()); });
}

Value list_method(const Value& value, std::string_view name) {
  using ListMethod = Value (*)(const Call&, const List&);
  const List& list = *value.list();
  const bool sequence = !list.is_view();
  const ListMethod method = sequence && name == "index"                       ? list_index
                            : sequence && name == "count"                     ? list_count
                            : list.kind == List::Kind::list && name == "copy" ? list_copy
                                                                              : nullptr;
  if (method == nullptr) return Undefined{String(name)};
  return bound(name, value,
               [method](const Call& call, const Value& self) { return method(call, *self.list()); });
}

}  // namespace

Value find_method(const Value& value, std::string_view name) {
  if (value.dict() != nullptr) return dict_method(value, name);
  if (value.list() != nullptr) return list_method(value, name);
  return value.text() != nullptr ? find_text_method(value, name) : Value(Undefined{String(name)});
}

}  // namespace llamajit::jinja
