// A template computes with these: the values of Python that chat templates know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/jinja/account.h"
#include "runtime/jinja/key_index.h"

namespace llamajit::jinja {

class Value;
class Execution;
using Values = std::vector<Value, Counted<Value>>;

// A name that nobody has set stands for this. It prints as nothing, and most other uses are errors.
struct Undefined {
  String name;
};
struct None {};
struct Text {
  std::shared_ptr<const String> bytes;  // UTF-8; lengths and indices count code points
  bool markup = false;  // marked by |safe: what is joined to it or put into it is escaped for HTML first
};
// An integer that 64 bits do not hold, as data and templates may have: it is kept and compared, but nothing is
// computed with it.
struct LargeInteger {
  std::shared_ptr<const String> digits;  // decimal, behind '-' where it is negative, without zeros before
};
struct List;
struct Dict;
struct Iterator;
struct Namespace;
struct Function;

// Cheap to copy. All but namespaces and iterators are immutable; an iterator is filled before anybody sees it, so
// that only namespaces can contain themselves. What goes through all that a value holds, calling itself, goes
// through lists and dictionaries, whose nesting is limited, and stops at namespaces and functions.
class Value {
 public:
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Iterator>,
                            std::shared_ptr<Namespace>, std::shared_ptr<const Function>, LargeInteger>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(bool truth) : data_(truth) {}
  Value(std::int64_t integer) : data_(integer) {}
  Value(double number) : data_(number) {}
  Value(Text text) : data_(std::move(text)) {}
  Value(String text);
  Value(std::string_view text) : Value(String(text)) {}
  Value(const std::string& text) : Value(String(text)) {}
  Value(const char* text) : Value(String(text)) {}
  Value(LargeInteger integer) : data_(std::move(integer)) {}
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<const List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<Iterator> iterator) : data_(std::move(iterator)) {}
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(Function function);
  Value(const Value&) = default;
  Value(Value&&) noexcept = default;
  Value& operator=(const Value& other) { return *this = Value(other); }
  Value& operator=(Value&& other) noexcept;
  // What holds values that hold values … is destroyed in a loop, however long the chain is.
  ~Value() {
    if (data_.index() >= kFirstHolder) destroy_held();
  }

  // nullptr where it is of another type.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  const String* text() const {
    const Text* const t = as<Text>();
    return t == nullptr ? nullptr : t->bytes.get();
  }
  bool is_markup() const { return as<Text>() != nullptr && as<Text>()->markup; }
  const List* list() const { return pointer<std::shared_ptr<const List>, const List>(); }
  const Dict* dict() const { return pointer<std::shared_ptr<const Dict>, const Dict>(); }
  Iterator* iterator() const { return pointer<std::shared_ptr<Iterator>, Iterator>(); }
  Namespace* space() const { return pointer<std::shared_ptr<Namespace>, Namespace>(); }
  const Function* function() const { return pointer<std::shared_ptr<const Function>, const Function>(); }

  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  bool is_large() const { return as<LargeInteger>() != nullptr; }
  // An integer of 64 bits, or a truth value, which counts as 0 or 1.
  std::optional<std::int64_t> integer() const;
  // Any of the kinds of numbers.
  std::optional<double> number() const;
  bool truth() const;
  int nesting() const;            // of lists and dictionaries within it
  std::string_view kind() const;  // "string", for messages

 private:
  static constexpr std::size_t kFirstHolder = 6;  // the first kind that holds other values
  void destroy_held() noexcept;
  bool wait() noexcept;

  template <class Pointer, class T>
  T* pointer() const {
    const Pointer* const p = as<Pointer>();
    return p == nullptr ? nullptr : p->get();
  }

  Data data_;
};

struct List {
  // Python's types that have their elements in order. What is no list prints otherwise and equals none; a range
  // and the views of a dictionary (`keys` …) don't print here, and views have no [index].
  enum class Kind { list, tuple, group, range, keys, values, items };

  Values items;
  Kind kind = Kind::list;
  int nesting = 1;  // the largest of the elements', and one

  // groupby's groups are tuples whose two elements have names.
  bool is_tuple() const { return kind == Kind::tuple || kind == Kind::group; }
  bool is_view() const { return kind == Kind::keys || kind == Kind::values || kind == Kind::items; }
  void measure_nesting();
};

// Keys are in the order in which they came: strings, numbers, none, and tuples of these.
struct Dict {
  using Entries = std::vector<std::pair<Value, Value>, Counted<std::pair<Value, Value>>>;

  Entries entries;  // what changes them otherwise than by set() calls renew_index()
  int nesting = 1;
  KeyIndex index{};  // of more than a few

  const Value* find(std::string_view key) const;
  const Value* find_key(const Value& key) const;
  void set(const Value& key, Value value);
  void measure_nesting();
  void renew_index();

 private:
  std::optional<std::size_t> place_of(const Value& key) const;
};
// Charges the execution with what looking for the key takes.
bool may_be_key(Execution& execution, const Value& value);

// What filters like map and select return: it is true, has no length, and its elements can be had once.
struct Iterator {
  Values items;
  std::size_t next = 0;
  int nesting = 1;
};

// namespace() makes one: it is the only thing whose members can be set from inside a loop. What cycler() and
// joiner() make keep their state in one.
struct Namespace {
  Dict members;
};

struct Arguments {
  Values positional;
  std::vector<std::pair<String, Value>, Counted<std::pair<String, Value>>> named;

  // The argument at this place or with this name; nullptr where neither is given.
  const Value* find(std::size_t place, std::string_view name) const;
  const Value* find_named(std::string_view name) const;
};

// A function, or an object like `loop`, which has members and may be one, too.
struct Function {
  String name;
  std::function<Value(Execution&, const Arguments&)> call;  // empty: it is none
  std::function<Value(std::string_view)> member{};          // undefined where it has none of the name
};

// The integer that the decimal digits mean, of any size.
Value integer_of(std::string_view digits);
// -1, 0 or 1 where both are integers, of any size, or truth values.
std::optional<int> integer_order(const Value& a, const Value& b);

bool equal(Execution& execution, const Value& a, const Value& b);

// As Python's str(), repr() and json.dumps(). Those of what can't be written, functions for example, fail.
String to_text(Execution& execution, const Value& value);
String to_repr(Execution& execution, const Value& value);
struct JsonStyle {
  std::optional<String> indent{};          // of one level; without it all is on one line
  std::optional<String> item_separator{};  // without it ", ", where all is on one line, else ","
  String key_separator = ": ";
  bool sort_keys = false;
  bool ascii = false;  // everything else as \uXXXX
};
String to_json(Execution& execution, const Value& value, const JsonStyle& style);

}  // namespace llamajit::jinja
