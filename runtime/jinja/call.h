// A filter, test, method or function is called with a Call, which checks the arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/jinja/execution.h"
#include "runtime/jinja/value.h"

namespace llamajit::jinja {

// All fail with a message that names the function, what was expected and what was found.
struct Call {
  Execution& execution;
  std::string_view name;
  const Arguments& arguments;

  const Value* given(std::size_t place, std::string_view called) const {
    return arguments.find(place, called);
  }
  [[noreturn]] void fail(std::string_view expected, const Value& found) const {
    execution.fail(name, expected, found.kind());
  }
  const Value& required(std::size_t place, std::string_view called) const;
  // nullptr where it is not given, or none.
  const String* text(std::size_t place, std::string_view called) const;
  const String& required_text(std::size_t place, std::string_view called) const;
  std::int64_t integer(std::size_t place, std::string_view called, std::int64_t otherwise) const;
  bool truth(std::size_t place, std::string_view called, bool otherwise) const;
  // The arguments behind the first `count`, for somebody else.
  Arguments behind(std::size_t count) const;
};

// A filter's result: `value|name(arguments)`. Fails where there is no such filter.
Value apply_filter(Execution& execution, std::string_view name, const Value& value,
                   const Arguments& arguments);
// `value is name(arguments)`.
bool apply_test(Execution& execution, std::string_view name, const Value& value, const Arguments& arguments);

// Charges for the strings that something is called with.
void work_on_texts(Execution& execution, const Value& value, const Arguments& arguments);

using Filter = Value (*)(const Call& call, const Value& value);
struct NamedFilter {
  std::string_view name;
  Filter filter;
};
// In files of their own; nullptr where there is none of this name.
Filter find_text_filter(std::string_view name);
Filter find_number_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_grouping_filter(std::string_view name);
Filter find_layout_filter(std::string_view name);
Filter find_link_filter(std::string_view name);
bool has_filter(std::string_view name);
bool has_test(std::string_view name);

// Returns `value.name` where it is a method of strings, lists or dictionaries; else an undefined value.
Value find_method(const Value& value, std::string_view name);
Value find_text_method(const Value& value, std::string_view name);

// The functions that every template has: range, namespace, dict, cycler, joiner, raise_exception, strftime_now.
const Value* find_function(std::string_view name);

// `object.name` and `object[key]`, as templates have it: members, then methods.
Value attribute_of(Execution& execution, const Value& object, std::string_view name);
Value item_of(Execution& execution, const Value& object, const Value& key);

// A value's path of attributes and items, like 'function.name' or 'turns.0'; none: the value itself. What is
// undefined on the way is `otherwise`, where that is given.
Value at_path(Execution& execution, Value value, const Value& path, const Value* otherwise = nullptr);

// The elements of a list, what is left of an iterator, which has none after that, the characters of a string, the
// keys of a dictionary; none of what is undefined.
Values elements_of(Execution& execution, const Value& value);
// -1, 0 or 1; fails for values that have no order.
int compare(Execution& execution, const Value& a, const Value& b);
bool contains(Execution& execution, const Value& container, const Value& value);

}  // namespace llamajit::jinja
