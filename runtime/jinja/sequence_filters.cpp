// Filters for lists, dictionaries and other things with elements.
#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

Values elements(const Call& call, const Value& value) {
  return elements_of(call.execution, value);
}

Value length(const Call& call, const Value& value) {
  if (const List* list = value.list()) return static_cast<std::int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->entries.size());
  if (const String* text = value.text()) return static_cast<std::int64_t>(count_characters(*text));
  if (value.is_undefined()) return std::int64_t{0};
  call.fail("a list, a string or a dictionary", value);
}

Value join(const Call& call, const Value& value) {
  const Value* const given = call.text(0, "d") != nullptr ? call.given(0, "d") : nullptr;
  const Value separator = given != nullptr ? *given : Value("");
  const Value* const attribute = call.given(1, "attribute");
  Values all = elements(call, value);
  if (attribute != nullptr) {
    for (Value& item : all) item = at_path(call.execution, item, *attribute);
  }
  // Beside markup, what is none is escaped where the template asks for it.
  const bool escapes =
      call.execution.escapes() && (separator.is_markup() || std::ranges::any_of(all, &Value::is_markup));
  const auto text = [&](const Value& v) {
    return escapes ? *apply_filter(call.execution, "escape", v, {}).text() : to_text(call.execution, v);
  };
  const String between = text(separator);
  String out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) out += between;
    out += text(all[i]);
    call.execution.check_output(out.size());
  }
  return call.execution.text(std::move(out), escapes);
}

Value to_list(const Call& call, const Value& value) {
  return call.execution.list(elements(call, value));
}

Value first(const Call& call, const Value& value) {
  Iterator* const iterator = value.iterator();
  if (iterator != nullptr && iterator->next < iterator->items.size())
    return iterator->items[iterator->next++];
  const auto all = elements(call, value);
  return all.empty() ? Value(Undefined{"first item"}) : all.front();
}

Value last(const Call& call, const Value& value) {
  if (value.iterator() != nullptr) call.fail("a list, a string or a dictionary", value);
  const auto all = elements(call, value);
  return all.empty() ? Value(Undefined{"last item"}) : all.back();
}

// Jinja draws one by chance. A prompt that differs from run to run could never be had again, so that only where
// there is no choice something is drawn.
Value random_item(const Call& call, const Value& value) {
  const auto all = elements(call, value);
  if (all.size() > 1) {
    call.execution.fail("random", "at most one element, as a text that chance decides can't be had again",
                        fmt::to_string(all.size()));
  }
  return all.empty() ? Value(Undefined{"random item"}) : all.front();
}

Value reverse(const Call& call, const Value& value) {
  auto all = elements(call, value);
  std::ranges::reverse(all);
  if (value.text() == nullptr) return call.execution.iterator(std::move(all));
  String out;
  for (const Value& c : all) out += *c.text();
  return call.execution.text(std::move(out));
}

Values pairs(const Call& call, const Dict::Entries& entries) {
  Values all;
  all.reserve(entries.size());
  for (const auto& [key, entry] : entries) all.push_back(call.execution.tuple({key, entry}));
  return all;
}

Value items(const Call& call, const Value& value) {
  if (value.is_undefined()) return call.execution.iterator({});
  if (value.dict() == nullptr) call.fail("a dictionary", value);
  return call.execution.iterator(pairs(call, value.dict()->entries));
}

// Without regard to case where they are strings, unless asked for.
Value without_case(const Call& call, const Value& value, bool case_sensitive) {
  return value.text() != nullptr && !case_sensitive ? call.execution.text(lower(*value.text())) : value;
}

Value dict_sort(const Call& call, const Value& value) {
  if (value.dict() == nullptr) call.fail("a dictionary", value);
  auto entries = value.dict()->entries;
  const bool case_sensitive = call.truth(0, "case_sensitive", false);
  const String* const by = call.text(1, "by");
  const bool by_value = by != nullptr && *by == "value";
  std::ranges::stable_sort(entries, [&](const auto& a, const auto& b) {
    const auto key = [&](const auto& entry) {
      return without_case(call, by_value ? entry.second : entry.first, case_sensitive);
    };
    return compare(call.execution, key(a), key(b)) < 0;
  });
  if (call.truth(2, "reverse", false)) std::ranges::reverse(entries);
  return call.execution.list(pairs(call, entries));
}

// Elements go by these: one, or more with commas between their names.
Value sort_key(const Call& call, const Value& value, const Value* attributes, bool case_sensitive) {
  if (attributes == nullptr) return without_case(call, value, case_sensitive);
  if (attributes->text() == nullptr) {
    return without_case(call, at_path(call.execution, value, *attributes), case_sensitive);
  }
  Values keys;
  for (const std::string_view path : split(*attributes->text(), ",", -1)) {
    const Value key = at_path(call.execution, value, String(path));
    keys.push_back(without_case(call, key, case_sensitive));
  }
  return call.execution.list(std::move(keys));
}

Value sort(const Call& call, const Value& value) {
  auto all = elements(call, value);
  const bool reversed = call.truth(0, "reverse", false);
  const bool case_sensitive = call.truth(1, "case_sensitive", false);
  const Value* const attributes = call.given(2, "attribute");
  std::ranges::stable_sort(all, [&](const Value& a, const Value& b) {
    const auto key = [&](const Value& x) { return sort_key(call, x, attributes, case_sensitive); };
    const int order = compare(call.execution, key(a), key(b));
    return reversed ? order > 0 : order < 0;
  });
  return call.execution.list(std::move(all));
}

Value unique(const Call& call, const Value& value) {
  Values seen;
  Values kept;
  const bool case_sensitive = call.truth(0, "case_sensitive", false);
  const Value* const attribute = call.given(1, "attribute");
  for (const Value& item : elements(call, value)) {
    const Value part = attribute != nullptr ? at_path(call.execution, item, *attribute) : item;
    const Value key = without_case(call, part, case_sensitive);
    if (std::ranges::any_of(seen, [&](const Value& s) { return equal(call.execution, s, key); })) continue;
    seen.push_back(key);
    kept.push_back(item);
  }
  return call.execution.iterator(std::move(kept));
}

// What these filters go over: of nothing that is false, as Jinja has it, so that none has no elements.
Values elements_if_true(const Call& call, const Value& value) {
  return value.truth() ? elements(call, value) : Values{};
}

// Those for which the test named by the argument number `place` answers `wanted`; without one, the true ones.
template <bool Wanted, bool ByAttribute>
Value select(const Call& call, const Value& value) {
  constexpr std::size_t kTest = ByAttribute ? 1 : 0;
  const String* const test = call.text(kTest, "test");
  const Arguments arguments = call.behind(kTest + 1);
  Values kept;
  for (const Value& item : elements_if_true(call, value)) {
    const Value subject = ByAttribute ? at_path(call.execution, item, call.required(0, "attribute")) : item;
    const bool answer =
        test != nullptr ? apply_test(call.execution, *test, subject, arguments) : subject.truth();
    if (answer == Wanted) kept.push_back(item);
  }
  return call.execution.iterator(std::move(kept));
}

Value map(const Call& call, const Value& value) {
  Values out;
  const Value* const attribute = call.arguments.positional.empty() ? call.given(0, "attribute") : nullptr;
  const Value* const given = call.arguments.find_named("default");
  const Value* const otherwise = given != nullptr && !given->is_none() ? given : nullptr;
  for (const Value& item : elements_if_true(call, value)) {
    call.execution.step();
    out.push_back(attribute != nullptr
                      ? at_path(call.execution, item, *attribute, otherwise)
                      : apply_filter(call.execution, call.required_text(0, "filter"), item, call.behind(1)));
  }
  return call.execution.iterator(std::move(out));
}

Value extreme(const Call& call, const Value& value, int sign) {
  const auto all = elements(call, value);
  if (all.empty()) return Undefined{"item of an empty list"};
  const bool case_sensitive = call.truth(0, "case_sensitive", false);
  const Value* const attribute = call.given(1, "attribute");
  const auto key = [&](const Value& x) {
    return without_case(call, attribute != nullptr ? at_path(call.execution, x, *attribute) : x,
                        case_sensitive);
  };
  return *std::ranges::max_element(all, [&](const Value& a, const Value& b) {
    return sign * compare(call.execution, key(a), key(b)) < 0;
  });
}

Value maximum(const Call& call, const Value& value) {
  return extreme(call, value, 1);
}

Value minimum(const Call& call, const Value& value) {
  return extreme(call, value, -1);
}

constexpr NamedFilter kSequenceFilters[] = {
    {"count", length},
    {"dictsort", dict_sort},
    {"first", first},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length},
    {"list", to_list},
    {"map", map},
    {"max", maximum},
    {"min", minimum},
    {"random", random_item},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"reverse", reverse},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"sort", sort},
    {"unique", unique},
};

}  // namespace

Filter find_sequence_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kSequenceFilters, name, &NamedFilter::name);
  return found == std::end(kSequenceFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
