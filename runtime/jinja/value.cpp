#include "runtime/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "runtime/jinja/execution.h"

namespace llamajit::jinja {

void List::measure_nesting() {
  nesting = 1;
  for (const Value& item : items) nesting = std::max(nesting, 1 + item.nesting());
}

void Dict::measure_nesting() {
  nesting = 1;
  for (const auto& [key, value] : entries)
    nesting = std::max({nesting, 1 + key.nesting(), 1 + value.nesting()});
}

namespace {

// What std::function has on the heap for what a function of values here binds, two of them at most.
constexpr std::size_t kBound = 256;

// Values that wait for the destruction of those that held them. Chains up to kDeepest are destroyed as they are.
struct Waiting {
  static constexpr int kDeepest = 100;
  int depth = 0;
  std::vector<Value> values{};
};
thread_local Waiting waiting;

}  // namespace

Value::Value(String text)
    : data_(Text{std::allocate_shared<const String>(Counted<String>(), std::move(text))}) {}

Value::Value(List list) {
  list.measure_nesting();
  data_ = std::shared_ptr<const List>(std::allocate_shared<List>(Counted<List>(), std::move(list)));
}

Value::Value(Dict dict) {
  dict.measure_nesting();
  dict.renew_index();
  data_ = std::shared_ptr<const Dict>(std::allocate_shared<Dict>(Counted<Dict>(), std::move(dict)));
}

Value::Value(Function function)
    : data_(std::shared_ptr<const Function>(
          std::allocate_shared<Function>(Counted<Function, Bytes<kBound>>(), std::move(function)))) {}

Value& Value::operator=(Value&& other) noexcept {
  if (this != &other) {
    const Value before(std::move(*this));
    data_ = std::move(other.data_);
  }
  return *this;
}

// Without memory for one more, it is destroyed where it is.
bool Value::wait() noexcept {
  try {
    waiting.values.push_back(std::move(*this));
    return true;
  } catch (...) {
    return false;
  }
}

void Value::destroy_held() noexcept {
  // What was moved from holds nothing, and must not wait: it may be one of those that wait, on their way elsewhere.
  const bool holds = list() != nullptr || dict() != nullptr || iterator() != nullptr || space() != nullptr ||
                     function() != nullptr;
  if (!holds) return;
  if (waiting.depth >= Waiting::kDeepest && wait()) return;
  ++waiting.depth;
  { const Data held = std::move(data_); }
  while (waiting.depth == 1 && !waiting.values.empty()) {
    {
      const Data held = std::move(waiting.values.back().data_);
      waiting.values.pop_back();
    }
    if (waiting.values.empty()) std::exchange(waiting.values, {});
  }
  --waiting.depth;
}

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

// Equal keys have equal ones. Numbers go by their nearest double, as they are compared.
std::uint64_t hash_of_key(const Value& key) {
  if (key.text() != nullptr) return hash_of(*key.text());
  if (const auto number = key.number()) {
    const double x = *number == 0 ? 0.0 : *number;
    return hash_of({reinterpret_cast<const char*>(&x), sizeof x}) + 1;
  }
  std::uint64_t hash = 2;
  if (const List* const list = key.list()) {
    for (const Value& item : list->items) {
      hash ^= hash_of_key(item);
      hash = hash_of({reinterpret_cast<const char*>(&hash), sizeof hash});
    }
  }
  return hash;
}

// A number that is none equals nothing, so that it may stand anywhere, and many of them shall not stand in a row.
std::uint64_t hash_of_entry(const Value& key, std::size_t place) {
  const auto* const x = key.as<double>();
  return x != nullptr && std::isnan(*x) ? hash_of({reinterpret_cast<const char*>(&place), sizeof place})
                                        : hash_of_key(key);
}

bool is_kind_of_key(const Value& value) {
  return value.text() != nullptr || value.as<bool>() != nullptr || value.as<std::int64_t>() != nullptr ||
         value.as<double>() != nullptr || value.is_large() || value.is_none();
}

}  // namespace

bool may_be_key(Execution& execution, const Value& value) {
  execution.step();
  execution.work_on(value);
  const List* const list = value.list();
  return is_kind_of_key(value) ||
         (list != nullptr && list->is_tuple() &&
          std::ranges::all_of(list->items, [&](const Value& item) { return may_be_key(execution, item); }));
}

const Value* Dict::find(std::string_view key) const {
  const auto is_it = [&](const auto& entry) {
    return entry.first.text() != nullptr && *entry.first.text() == key;
  };
  if (index.size() != entries.size() || entries.empty()) {
    const auto found = std::ranges::find_if(entries, is_it);
    return found == entries.end() ? nullptr : &found->second;
  }
  const auto place = index.find(hash_of(key), [&](std::size_t i) { return is_it(entries[i]); });
  return place ? &entries[*place].second : nullptr;
}

std::optional<std::size_t> Dict::place_of(const Value& key) const {
  if (index.size() == entries.size() && !entries.empty()) {
    return index.find(hash_of_key(key), [&](std::size_t i) { return same_key(entries[i].first, key); });
  }
  const auto found =
      std::ranges::find_if(entries, [&](const auto& entry) { return same_key(entry.first, key); });
  if (found == entries.end()) return std::nullopt;
  return static_cast<std::size_t>(found - entries.begin());
}

const Value* Dict::find_key(const Value& key) const {
  const auto place = place_of(key);
  return place ? &entries[*place].second : nullptr;
}

void Dict::set(const Value& key, Value value) {
  if (const auto place = place_of(key)) {
    entries[*place].second = std::move(value);
    return;
  }
  const bool indexed = !entries.empty() && index.size() == entries.size();
  entries.emplace_back(key, std::move(value));
  if (indexed) {
    index.add(hash_of_entry(key, entries.size()));
  } else if (entries.size() > KeyIndex::kFew) {
    renew_index();
  }
}

void Dict::renew_index() {
  index.clear();
  if (entries.size() <= KeyIndex::kFew) return;
  for (std::size_t i = 0; i < entries.size(); ++i) index.add(hash_of_entry(entries[i].first, i));
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
  String plain(negative ? 1 : 0, '-');
  plain.append(digits);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), number);
  if (error == std::errc()) return number;
  return LargeInteger{std::allocate_shared<const String>(Counted<String>(), std::move(plain))};
}

std::optional<int> integer_order(const Value& a, const Value& b) {
  const auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (const auto x = a.integer(), y = b.integer(); x && y) return sign(*x, *y);
  if (!a.is_large() && !b.is_large()) return std::nullopt;
  const auto digits = [](const Value& v) {
    return v.is_large()  ? *v.as<LargeInteger>()->digits
           : v.integer() ? printed_to_string("{}", *v.integer())
                         : String();
  };
  const String x = digits(a), y = digits(b);
  if (x.empty() || y.empty()) return std::nullopt;
  const bool negative = x[0] == '-';
  if (negative != (y[0] == '-')) return negative ? -1 : 1;
  const int order = x.size() != y.size() ? sign(x.size(), y.size()) : sign(x.compare(y), 0);
  return negative ? -order : order;
}

bool equal(Execution& execution, const Value& a, const Value& b) {
  execution.step();
  execution.work_on(a);
  execution.work_on(b);
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
