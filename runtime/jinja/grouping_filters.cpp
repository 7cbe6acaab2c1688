// Filters that put elements together, and those that look into objects.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/jinja/arithmetic.h"
#include "runtime/jinja/call.h"
#include "runtime/jinja/letter_case.h"
#include "runtime/jinja/text.h"

namespace llamajit::jinja {
namespace {

std::int64_t required_count(const Call& call, std::string_view called) {
  constexpr std::int64_t kMost = 1'000'000;
  const Value& count = call.required(0, called);
  if (!count.integer() || *count.integer() < 1 || *count.integer() > kMost) {
    call.fail(fmt::format("a number from 1 to {} as '{}'", kMost, called), count);
  }
  return *count.integer();
}

// What fills up short parts; nullptr: nothing.
const Value* filling(const Call& call) {
  const Value* const given = call.given(1, "fill_with");
  return given != nullptr && !given->is_none() ? given : nullptr;
}

// Lists of so many elements each.
Value batch(const Call& call, const Value& value) {
  const auto count = static_cast<std::size_t>(required_count(call, "linecount"));
  const Values all = elements_of(call.execution, value);
  Values out;
  for (std::size_t begin = 0; begin < all.size(); begin += count) {
    const std::size_t end = std::min(begin + count, all.size());
    Values part(all.begin() + static_cast<std::ptrdiff_t>(begin),
                all.begin() + static_cast<std::ptrdiff_t>(end));
    if (const Value* const fill = filling(call)) {
      call.execution.allocate(count * sizeof(Value));
      part.resize(count, *fill);
    }
    out.push_back(call.execution.list(std::move(part)));
  }
  return call.execution.iterator(std::move(out));
}

// So many lists, the first ones longer by one where the elements cannot be dealt evenly.
Value slice(const Call& call, const Value& value) {
  const auto count = static_cast<std::size_t>(required_count(call, "slices"));
  const Values all = elements_of(call.execution, value);
  Values out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool longer = i < all.size() % count;
    const std::size_t end = begin + all.size() / count + (longer ? 1 : 0);
    Values part(all.begin() + static_cast<std::ptrdiff_t>(begin),
                all.begin() + static_cast<std::ptrdiff_t>(end));
    const Value* const fill = filling(call);
    if (fill != nullptr && !longer) part.push_back(*fill);
    out.push_back(call.execution.list(std::move(part)));
    begin = end;
  }
  return call.execution.iterator(std::move(out));
}

// Sorted, and those that agree together: tuples of what they agree in (.grouper) and a list of them (.list).
Value group_by(const Call& call, const Value& value) {
  const Value& path = call.required(0, "attribute");
  const Value* const otherwise = call.given(1, "default");
  const bool case_sensitive = call.truth(2, "case_sensitive", false);
  const auto attribute = [&](const Value& item) {
    const bool given = otherwise != nullptr && !otherwise->is_none();
    return at_path(call.execution, item, path, given ? otherwise : nullptr);
  };
  const auto key = [&](const Value& item) {
    Value part = attribute(item);
    return part.text() != nullptr && !case_sensitive ? call.execution.text(lower(*part.text())) : part;
  };
  Values all = elements_of(call.execution, value);
  std::ranges::stable_sort(
      all, [&](const Value& a, const Value& b) { return compare(call.execution, key(a), key(b)) < 0; });
  Values groups;
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    Values same;
    for (; end < all.size() && equal(call.execution, key(all[begin]), key(all[end])); ++end) {
      same.push_back(all[end]);
    }
    if (same.empty()) call.fail("attributes that equal themselves", key(all[begin]));
    Values group = {attribute(all[begin]), call.execution.list(std::move(same))};
    groups.push_back(call.execution.list(std::move(group), List::Kind::group));
  }
  return call.execution.list(std::move(groups));
}

Value sum(const Call& call, const Value& value) {
  const Value* const attribute = call.given(0, "attribute");
  const Value* const start = call.given(1, "start");
  Value total = start != nullptr ? *start : Value(std::int64_t{0});
  if (total.text() != nullptr) call.fail("a start that is no string", total);
  for (const Value& item : elements_of(call.execution, value)) {
    call.execution.step();
    const Value part = attribute != nullptr ? at_path(call.execution, item, *attribute) : item;
    total = arithmetic(call.execution, Operator::add, total, part);
  }
  return total;
}

// A dictionary's members are items and no attributes, but its methods are.
Value attribute(const Call& call, const Value& value) {
  std::string_view name = call.required_text(0, "name");
  return value.dict() != nullptr ? find_method(value, name) : attribute_of(call.execution, value, name);
}

// A dictionary as attributes of XML, without those that are none or undefined.
Value xml_attributes(const Call& call, const Value& value) {
  if (value.dict() == nullptr) call.fail("a dictionary", value);
  String out;
  for (const auto& [name, content] : value.dict()->entries) {
    if (content.is_none() || content.is_undefined()) continue;
    if (name.text() == nullptr || name.text()->find_first_of(" \t\n\r\f\v/>=") != String::npos) {
      call.fail("names without blanks, '/', '>' and '='", name);
    }
    const Value escaped = apply_filter(call.execution, "escape", content, {});
    out += printed_to_string("{}{}=\"{}\"", out.empty() ? "" : " ", escaped_for_html(*name.text()),
                             *escaped.text());
    call.execution.check_output(out.size());
  }
  const bool space = call.truth(0, "autospace", true) && !out.empty();
  return call.execution.text(space ? " " + out : out, call.execution.escapes());
}

constexpr NamedFilter kFilters[] = {
    {"attr", attribute}, {"batch", batch}, {"groupby", group_by},
    {"slice", slice},    {"sum", sum},     {"xmlattr", xml_attributes},
};

}  // namespace

Filter find_grouping_filter(std::string_view name) {
  const auto* const found = std::ranges::find(kFilters, name, &NamedFilter::name);
  return found == std::end(kFilters) ? nullptr : found->filter;
}

}  // namespace llamajit::jinja
