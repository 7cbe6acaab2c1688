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

const std::string* Call::text(std::size_t place, std::string_view called) const {
  const Value* const value = given(place, called);
  if (value == nullptr || value->is_none()) return nullptr;
  if (value->text() == nullptr) fail(fmt::format("a string as '{}'", called), *value);
  return value->text();
}

const std::string& Call::required_text(std::size_t place, std::string_view called) const {
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
  Arguments rest;
  rest.named = arguments.named;
  if (count < arguments.positional.size()) {
    rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                           arguments.positional.end());
  }
  return rest;
}

Value apply_filter(Execution& execution, const std::string& name, const Value& value,
                   const Arguments& arguments) {
  Filter filter = find_text_filter(name);
  if (filter == nullptr) filter = find_sequence_filter(name);
  if (filter == nullptr)
    execution.fail("filter", "one that templates here have", fmt::format("'{}'", escaped(name)));
  return filter({execution, name, arguments}, value);
}

Value attribute_of(Execution& execution, const Value& object, const std::string& name) {
  if (const auto* undefined = object.as<Undefined>()) {
    execution.fail(fmt::format("'{}'", escaped(undefined->name)),
                   fmt::format("a value with '{}'", escaped(name)), "an undefined value");
  }
  if (const auto* space = object.space()) {
    const Value* const member = space->members.find(name);
    return member != nullptr ? *member : Value(Undefined{name});
  }
  Value method = find_method(object, name);
  if (!method.is_undefined()) return method;
  const Value* const entry = object.dict() != nullptr ? object.dict()->find(name) : nullptr;
  return entry != nullptr ? *entry : Value(Undefined{name});
}

Value item_of(Execution& execution, const Value& object, const Value& key) {
  if (const std::string* name = key.text()) {
    const Value* const entry = object.dict() != nullptr ? object.dict()->find(*name) : nullptr;
    return entry != nullptr ? *entry : attribute_of(execution, object, *name);
  }
  if (const auto* undefined = object.as<Undefined>()) {
    execution.fail(fmt::format("'{}'", escaped(undefined->name)), "a list", "an undefined value");
  }
  const auto index = key.integer();
  if (!index) return Undefined{"item"};
  const auto in = [&](std::size_t size) {
    const std::int64_t i = *index < 0 ? *index + static_cast<std::int64_t>(size) : *index;
    return i < 0 || i >= static_cast<std::int64_t>(size) ? -1 : i;
  };
  if (const List* list = object.list()) {
    const auto i = in(list->items.size());
    return i < 0 ? Value(Undefined{fmt::format("item {}", *index)})
                 : list->items[static_cast<std::size_t>(i)];
  }
  if (const std::string* text = object.text()) {
    execution.allocate(text->size());
    const auto all = characters(*text);
    const auto i = in(all.size());
    return i < 0 ? Value(Undefined{fmt::format("item {}", *index)})
                 : execution.text(std::string(all[static_cast<std::size_t>(i)]));
  }
  return Undefined{fmt::format("item {}", *index)};
}

std::vector<Value> elements_of(Execution& execution, const Value& value) {
  if (const List* list = value.list()) {
    execution.allocate(list->items.size() * sizeof(Value));
    return list->items;
  }
  std::vector<Value> elements;
  if (const std::string* text = value.text()) {
    execution.allocate(text->size() * 4 * sizeof(Value));
    for (const std::string_view c : characters(*text)) elements.emplace_back(std::string(c));
  } else if (const Dict* dict = value.dict()) {
    execution.allocate(dict->entries.size() * 2 * sizeof(Value));
    for (const auto& [key, entry] : dict->entries) elements.emplace_back(key);
  } else if (!value.is_undefined()) {
    execution.fail("loop", "a list, a string or a dictionary", value.kind());
  }
  return elements;
}

int compare(Execution& execution, const Value& a, const Value& b) {
  execution.step();
  const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (const auto x = a.integer(), y = b.integer(); x && y) return sign(*x, *y);
  if (const auto x = a.number(), y = b.number(); x && y) return sign(*x, *y);
  if (a.text() != nullptr && b.text() != nullptr) return sign(a.text()->compare(*b.text()), 0);
  if (a.list() != nullptr && b.list() != nullptr) {
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
  if (const std::string* text = container.text()) {
    if (value.text() == nullptr) execution.fail("in", "a string in a string", value.kind());
    return text->find(*value.text()) != std::string::npos;
  }
  if (const Dict* dict = container.dict())
    return value.text() != nullptr && dict->find(*value.text()) != nullptr;
  if (const List* list = container.list()) {
    return std::ranges::any_of(list->items, [&](const Value& item) { return equal(execution, item, value); });
  }
  if (container.is_undefined()) return false;
  execution.fail("in", "a list, a string or a dictionary", container.kind());
}

}  // namespace llamajit::jinja
