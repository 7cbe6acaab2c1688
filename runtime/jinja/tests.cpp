// Tests: what stands behind `is`.
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"
#include "tokenizer/utf8.h"

namespace llamajit::jinja {
namespace {

using Test = bool (*)(const Call& call, const Value& value);

bool is_integer(const Value& value) {
  return value.as<std::int64_t>() != nullptr || value.is_large();
}

bool has_elements(const Value& value) {
  return value.list() != nullptr || value.dict() != nullptr || value.text() != nullptr ||
         value.is_undefined();
}

// It has a length and items by number or key.
bool is_sequence(const Value& value) {
  return has_elements(value) && (value.list() == nullptr || !value.list()->is_view());
}

std::int64_t remainder(const Call& call, const Value& value, std::int64_t of) {
  if (const auto* large = value.as<LargeInteger>(); large != nullptr && of == 2) {
    return (large->digits->back() - '0') % 2;
  }
  if (!value.integer()) call.fail("an integer", value);
  if (of == 0) call.execution.fail(call.name, "a divisor", "0");
  return of == -1 ? 0 : *value.integer() % of;
}

bool same_object(const Call& call, const Value& a, const Value& b) {
  if (a.as<bool>() != nullptr || b.as<bool>() != nullptr) {
    return a.as<bool>() != nullptr && b.as<bool>() != nullptr && a.truth() == b.truth();
  }
  if (a.list() != nullptr || a.dict() != nullptr) return a.list() == b.list() && a.dict() == b.dict();
  return a.kind() == b.kind() && equal(call.execution, a, b);
}

template <class Holds>
bool in_order(const Call& call, const Value& value, const Holds& holds) {
  return holds(compare(call.execution, value, call.required(0, "other")));
}

struct NamedTest {
  std::string_view name;
  Test test;
};

constexpr NamedTest kTests[] = {
    {"defined", [](const Call&, const Value& v) { return !v.is_undefined(); }},
    {"undefined", [](const Call&, const Value& v) { return v.is_undefined(); }},
    {"none", [](const Call&, const Value& v) { return v.is_none(); }},
    {"string", [](const Call&, const Value& v) { return v.text() != nullptr; }},
    {"mapping", [](const Call&, const Value& v) { return v.dict() != nullptr; }},
    {"iterable", [](const Call&, const Value& v) { return has_elements(v) || v.iterator() != nullptr; }},
    {"sequence", [](const Call&, const Value& v) { return is_sequence(v); }},
    {"number", [](const Call&, const Value& v) { return v.number().has_value(); }},
    {"integer", [](const Call&, const Value& v) { return is_integer(v); }},
    {"float", [](const Call&, const Value& v) { return v.as<double>() != nullptr; }},
    {"boolean", [](const Call&, const Value& v) { return v.as<bool>() != nullptr; }},
    {"true", [](const Call&, const Value& v) { return v.as<bool>() != nullptr && v.truth(); }},
    {"false", [](const Call&, const Value& v) { return v.as<bool>() != nullptr && !v.truth(); }},
    {"callable", [](const Call&, const Value& v) { return v.function() != nullptr; }},
    {"escaped", [](const Call&, const Value& v) { return v.is_markup(); }},
    {"filter", [](const Call&, const Value& v) { return v.text() != nullptr && has_filter(*v.text()); }},
    {"test", [](const Call&, const Value& v) { return v.text() != nullptr && has_test(*v.text()); }},
    {"odd", [](const Call& c, const Value& v) { return remainder(c, v, 2) != 0; }},
    {"even", [](const Call& c, const Value& v) { return remainder(c, v, 2) == 0; }},
    {"divisibleby",
     [](const Call& c, const Value& v) { return remainder(c, v, c.integer(0, "num", 0)) == 0; }},
    {"lower",
     [](const Call& c, const Value& v) {
       const String text = to_text(c.execution, v);
       c.execution.work_on_characters(text);
       return is_lower(text);
     }},
    {"upper",
     [](const Call& c, const Value& v) {
       const String text = to_text(c.execution, v);
       c.execution.work_on_characters(text);
       return is_upper(text);
     }},
    {"in", [](const Call& c, const Value& v) { return contains(c.execution, c.required(0, "seq"), v); }},
    {"sameas", [](const Call& c, const Value& v) { return same_object(c, v, c.required(0, "other")); }},
    {"eq", [](const Call& c, const Value& v) { return equal(c.execution, v, c.required(0, "other")); }},
    {"equalto", [](const Call& c, const Value& v) { return equal(c.execution, v, c.required(0, "other")); }},
    {"==", [](const Call& c, const Value& v) { return equal(c.execution, v, c.required(0, "other")); }},
    {"ne", [](const Call& c, const Value& v) { return !equal(c.execution, v, c.required(0, "other")); }},
    {"!=", [](const Call& c, const Value& v) { return !equal(c.execution, v, c.required(0, "other")); }},
    {"lt", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o < 0; }); }},
    {"lessthan", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o < 0; }); }},
    {"<", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o < 0; }); }},
    {"le", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o <= 0; }); }},
    {"<=", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o <= 0; }); }},
    {"gt", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o > 0; }); }},
    {"greaterthan",
     [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o > 0; }); }},
    {">", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o > 0; }); }},
    {"ge", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o >= 0; }); }},
    {">=", [](const Call& c, const Value& v) { return in_order(c, v, [](int o) { return o >= 0; }); }},
};

}  // namespace

bool has_test(std::string_view name) {
  return std::ranges::find(kTests, name, &NamedTest::name) != std::end(kTests);
}

bool apply_test(Execution& execution, std::string_view name, const Value& value, const Arguments& arguments) {
  const auto* const found = std::ranges::find(kTests, name, &NamedTest::name);
  if (found == std::end(kTests)) {
    execution.fail("test", "one that templates here have", fmt::format("'{}'", shown_text(name)));
  }
  return found->test({execution, name, arguments}, value);
}

}  // namespace llamajit::jinja
