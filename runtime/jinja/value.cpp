#include "runtime/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "runtime/jinja/execution.h"

namespace llamajit::jinja {

void List::measure_nesting() {
  for (const Value& item : items) nesting = std::max(nesting, 1 + item.nesting());
}

void Dict::measure_nesting() {
  for (const auto& [key, value] : entries)
    nesting = std::max({nesting, 1 + key.nesting(), 1 + value.nesting()});
}

Value::Value(List list) {
  list.measure_nesting();
  data_ = std::make_shared<const List>(std::move(list));
}

Value::Value(Dict dict) {
  dict.measure_nesting();
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
  if (const auto* large = as<LargeInteger>()) return std::strtod(large->digits->c_str(), nullptr);
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
  if (const auto* i = iterator()) return i->nesting;
  return 0;
}

std::string_view Value::kind() const {
  constexpr std::string_view kNames[] = {
      "an undefined value", "none",        "a truth value", "an integer",
      "a number",           "a string",    "a list",        "a dictionary",
      "an iterator",        "a namespace", "a function",    "an integer of more than 64 bits"};
  static_assert(std::size(kNames) == std::variant_size_v<Data>);
  return kNames[data_.index()];
}

namespace {

// As Python's dictionaries have it: 1, 1.0 and true are one key.
bool same_key(const Value& a, const Value& b) {
  if (a.text() != nullptr || b.text() != nullptr) {
    return a.text() != nullptr && b.text() != nullptr && *a.text() == *b.text();
  }
  if (const auto order = integer_order(a, b)) return *order == 0;
  if (const auto x = a.number(), y = b.number(); x || y) return x && y && *x == *y;
  if (a.list() != nullptr && b.list() != nullptr) {
    return a.list()->is_tuple() && b.list()->is_tuple() &&
           std::ranges::equal(a.list()->items, b.list()->items, same_key);
  }
  return a.is_none() && b.is_none();
}

template <class Entries>
auto entry_of(Entries& entries, const Value& key) {
  return std::ranges::find_if(entries, [&](const auto& entry) { return same_key(entry.first, key); });
}

}  // namespace

bool may_be_key(const Value& value) {
  const List* const list = value.list();
  return value.text() != nullptr || value.number() || value.is_none() ||
         (list != nullptr && list->is_tuple() && std::ranges::all_of(list->items, may_be_key));
}

const Value* Dict::find(std::string_view key) const {
  const auto found = std::ranges::find_if(entries, [&](const auto& entry) {
    return entry.first.text() != nullptr && *entry.first.text() == key;
  });
  return found == entries.end() ? nullptr : &found->second;
}

const Value* Dict::find_key(const Value& key) const {
  const auto found = entry_of(entries, key);
  return found == entries.end() ? nullptr : &found->second;
}

void Dict::set(const Value& key, Value value) {
  const auto found = entry_of(entries, key);
  if (found != entries.end()) {
    found->second = std::move(value);
  } else {
    entries.emplace_back(key, std::move(value));
  }
}

const Value* Arguments::find(std::size_t place, std::string_view name) const {
  return place < positional.size() ? &positional[place] : find_named(name);
}

const Value* Arguments::find_named(std::string_view name) const {
  const auto found = std::ranges::find(named, name, [](const auto& argument) { return argument.first; });
  return found == named.end() ? nullptr : &found->second;
}

Value integer_of(std::string_view digits) {
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
  std::string plain(negative ? 1 : 0, '-');
  plain.append(digits);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), number);
  if (error == std::errc()) return number;
  return LargeInteger{std::make_shared<const std::string>(std::move(plain))};
}

std::optional<int> integer_order(const Value& a, const Value& b) {
  const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (const auto x = a.integer(), y = b.integer(); x && y) return sign(*x, *y);
  const auto digits = [](const Value& v) {
    return v.is_large() ? *v.as<LargeInteger>()->digits : v.integer() ? std::to_string(*v.integer()) : "";
  };
  const std::string x = digits(a), y = digits(b);
  if (x.empty() || y.empty()) return std::nullopt;
  const bool negative = x[0] == '-';
  if (negative != (y[0] == '-')) return negative ? -1 : 1;
  const int order = x.size() != y.size() ? sign(x.size(), y.size()) : sign(x.compare(y), 0);
  return negative ? -order : order;
}

bool equal(Execution& execution, const Value& a, const Value& b) {
  execution.step();
  const auto same = [&](const Value& x, const Value& y) { return equal(execution, x, y); };
  if (const auto order = integer_order(a, b)) return *order == 0;
  if (const auto x = a.number(), y = b.number(); x || y) return x && y && *x == *y;
  if (const auto* x = a.text(), *y = b.text(); x != nullptr || y != nullptr) {
    return x != nullptr && y != nullptr && *x == *y;
  }
  if (const auto* x = a.list(), *y = b.list(); x != nullptr && y != nullptr) {
    return (x->kind == y->kind || (x->is_tuple() && y->is_tuple())) &&
           std::ranges::equal(x->items, y->items, same);
  }
  if (const auto* x = a.dict(), *y = b.dict(); x != nullptr && y != nullptr) {
    return x->entries.size() == y->entries.size() && std::ranges::all_of(x->entries, [&](const auto& entry) {
             const Value* const other = y->find_key(entry.first);
             return other != nullptr && same(entry.second, *other);
           });
  }
  if (a.is_none() || a.is_undefined()) return a.kind() == b.kind();
  if (a.iterator() != nullptr) return a.iterator() == b.iterator();
  if (a.space() != nullptr) return a.space() == b.space();
  return a.function() != nullptr && a.function() == b.function();
}

}  // namespace llamajit::jinja
