#include "runtime/jinja/call.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {

const Value& Call::required(std::size_t place, std::string_view called) const {
  const Value* const value = given(place, called);
  if (value == nullptr) execution.fail(name, fmt::format("an argument '{}'", called), "none");
  return *value;
}

const String* Call::text(std::size_t place, std::string_view called) const {
  const Value* const value = given(place, called);
  if (value == nullptr || value->is_none()) return nullptr;
  if (value->text() == nullptr) fail(fmt::format("a string as '{}'", called), *value);
  return value->text();
}

const String& Call::required_text(std::size_t place, std::string_view called) const {
  const Value& value = required(place, called);
  if (value.text() == nullptr) fail(fmt::format("a string as '{}'", called), value);
  return *value.text();
}

std::int64_t Call::integer(std::size_t place, std::string_view called, std::int64_t otherwise) const {
  const Value* const value = given(place, called);
  if (value == nullptr || value->is_none()) return otherwise;
  const auto integer = value->integer();
  if (!integer) fail(fmt::format("an integer as '{}'", called), *value);
  return *integer;
}

bool Call::truth(std::size_t place, std::string_view called, bool otherwise) const {
  const Value* const value = given(place, called);
  return value == nullptr ? otherwise : value->truth();
}

Arguments Call::behind(std::size_t count) const {
  execution.work((arguments.positional.size() + arguments.named.size()) * sizeof(Value));
  Arguments rest;
  rest.named = arguments.named;
  if (count < arguments.positional.size()) {
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                           arguments.positional.end());
  }
  return rest;
}

namespace {

Filter find_filter(std::string_view name) {
  for (const auto find : {find_text_filter, find_number_filter, find_sequence_filter, find_grouping_filter,
                          find_layout_filter, find_link_filter}) {
    if (const Filter filter = find(name)) return filter;
  }
  return nullptr;
}

// Python's dictionaries and lists have these, which a sandbox denies.
constexpr std::string_view kMutating[] = {"append",  "clear",  "extend", "insert",     "pop",
                                          "popitem", "remove", "sort",   "setdefault", "update"};

constexpr std::size_t kLongestName = 60;  // of something undefined, for messages

Value undefined(std::string_view name) {
  return Undefined{String(name.substr(0, kLongestName))};
}

[[noreturn]] void refuse_undefined(Execution& execution, const Undefined& value, std::string_view wanted) {
  execution.fail(fmt::format("'{}'", shown_text(value.name)), wanted, "an undefined value");
}

}  // namespace

// Strings are gone through character by character, by most of what is called with them.
void work_on_texts(Execution& execution, const Value& value, const Arguments& arguments) {
  const auto work_on = [&](const Value& v) {
    if (v.text() != nullptr) execution.work_on_characters(*v.text());
  };
  work_on(value);
  execution.work(arguments.positional.size() + arguments.named.size());
  for (const Value& argument : arguments.positional) work_on(argument);
  for (const auto& [name, argument] : arguments.named) work_on(argument);
}

bool has_filter(std::string_view name) {
  return find_filter(name) != nullptr;
}

Value apply_filter(Execution& execution, std::string_view name, const Value& value,
                   const Arguments& arguments) {
  const Filter filter = find_filter(name);
  if (filter == nullptr)
    execution.fail("filter", "one that templates here have", fmt::format("'{}'", shown_text(name)));
  const Execution::At at(execution);  // as filters call each other
  work_on_texts(execution, value, arguments);
  return filter({execution, name, arguments}, value);
}

Value attribute_of(Execution& execution, const Value& object, std::string_view name) {
  if (const auto* none = object.as<Undefined>()) {
    refuse_undefined(execution, *none, fmt::format("a value with '{}'", shown_text(name)));
  }
  if (const auto* space = object.space()) {
    const Value* const member = space->members.find(name);
    return member != nullptr ? *member : undefined(name);
  }
  if (const auto* function = object.function()) {
    return function->member ? function->member(name) : undefined(name);
  }
  if (const List* list = object.list(); list != nullptr && list->kind == List::Kind::group) {
    if (name == "grouper") return list->items[0];
    if (name == "list") return list->items[1];
  }
  Value method = find_method(object, name);
  if (!method.is_undefined()) return method;
  const bool denied = std::ranges::count(kMutating, name) > 0;
  const Value* const entry = object.dict() != nullptr && !denied ? object.dict()->find(name) : nullptr;
  return entry != nullptr ? *entry : undefined(name);
}

Value item_of(Execution& execution, const Value& object, const Value& key) {
  if (const auto* none = object.as<Undefined>()) {
    refuse_undefined(
        execution, *none,
        key.text() != nullptr ? fmt::format("a value with '{}'", shown_text(*key.text())) : "a list");
  }
  if (object.dict() != nullptr) may_be_key(execution, key);  // what the look-up takes
  const Value* const entry = object.dict() != nullptr ? object.dict()->find_key(key) : nullptr;
  if (entry != nullptr) return *entry;
  if (key.text() != nullptr) return attribute_of(execution, object, *key.text());
  const auto index = key.integer();
  if (!index) return undefined("item");
  Value none = Undefined{printed_to_string("item {}", *index)};
  const auto in = [&](std::size_t size) {
    const std::int64_t i = *index < 0 ? *index + static_cast<std::int64_t>(size) : *index;
    return i < 0 || i >= static_cast<std::int64_t>(size) ? -1 : i;
  };
  if (const List* list = object.list(); list != nullptr && !list->is_view()) {
    const auto i = in(list->items.size());
    return i < 0 ? none : list->items[static_cast<std::size_t>(i)];
  }
  if (const String* text = object.text()) {
    execution.work_on_characters(*text);
    const auto i = in(count_characters(*text));
    if (i < 0) return none;
    auto character = EachCharacter(*text).begin();
    for (std::int64_t before = 0; before < i; ++before) ++character;
    return execution.text(String(*character), object.is_markup());
  }
  return none;
}

Value at_path(Execution& execution, Value value, const Value& path, const Value* otherwise) {
  if (path.is_none()) return value;
  const auto step = [&](const Value& key) {
    execution.step();
    value = item_of(execution, value, key);
    if (value.is_undefined() && otherwise != nullptr) value = *otherwise;
  };
  if (path.text() == nullptr) {
    step(path);
    return value;
  }
  for (const std::string_view part : split(*path.text(), ".", -1)) {
    const bool index =
        !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos && part.size() < 10;
    step(index ? Value(static_cast<std::int64_t>(std::stol(std::string(part)))) : Value(String(part)));
  }
  return value;
}

Values elements_of(Execution& execution, const Value& value) {
  if (const List* list = value.list()) {
    execution.work(list->items.size() * sizeof(Value));
    return list->items;
  }
  Values elements;
  if (Iterator* iterator = value.iterator()) {
    execution.work(iterator->items.size() * sizeof(Value));
    elements.assign(iterator->items.begin() + static_cast<std::ptrdiff_t>(iterator->next),
                    iterator->items.end());
    iterator->next = iterator->items.size();
  } else if (const String* text = value.text()) {
    execution.work(text->size() * 4 * sizeof(Value));
    for (const std::string_view c : characters(*text)) elements.emplace_back(c);
  } else if (const Dict* dict = value.dict()) {
    execution.work(dict->entries.size() * sizeof(Value));
    for (const auto& [key, entry] : dict->entries) elements.push_back(key);
  } else if (!value.is_undefined()) {
    execution.fail("loop", "a list, a string or a dictionary", value.kind());
  }
  return elements;
}

int compare(Execution& execution, const Value& a, const Value& b) {
  execution.step();
  execution.work_on(a);
  execution.work_on(b);
  const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (const auto order = integer_order(a, b)) return *order;
  if (const auto x = a.number(), y = b.number(); x && y) return sign(*x, *y);
  if (a.text() != nullptr && b.text() != nullptr) return sign(a.text()->compare(*b.text()), 0);
  if (a.list() != nullptr && b.list() != nullptr && a.list()->is_tuple() == b.list()->is_tuple()) {
    const auto &x = a.list()->items, &y = b.list()->items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      const int order = compare(execution, x[i], y[i]);
      if (order != 0) return order;
    }
    return sign(x.size(), y.size());
  }
  execution.fail("comparison", "two numbers, strings or lists", fmt::format("{} and {}", a.kind(), b.kind()));
}

bool contains(Execution& execution, const Value& container, const Value& value) {
  if (const String* text = container.text()) {
    if (value.text() == nullptr) execution.fail("in", "a string in a string", value.kind());
    execution.work(text->size() + value.text()->size());
    return found_in(*text, *value.text()) != String::npos;
  }
  if (const Dict* dict = container.dict()) {
    if (!may_be_key(execution, value) && !value.is_undefined())
      execution.fail("in", "what may be a key", value.kind());
    return dict->find_key(value) != nullptr;
  }
  const auto same = [&](const Value& item) { return equal(execution, item, value); };
  if (const List* list = container.list()) return std::ranges::any_of(list->items, same);
  if (container.iterator() != nullptr) return std::ranges::any_of(elements_of(execution, container), same);
  if (container.is_undefined()) return false;
  execution.fail("in", "a list, a string or a dictionary", container.kind());
}

}  // namespace llamajit::jinja
