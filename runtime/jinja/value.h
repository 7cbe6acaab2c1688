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

namespace llamajit::jinja {

class Value;
class Execution;

// A name that nobody has set stands for this. It prints as nothing, and most other uses are errors.
struct Undefined {
  std::string name;
};
struct None {};
struct Text {
  std::shared_ptr<const std::string> bytes;  // UTF-8; lengths and indices count code points
  bool markup = false;  // marked by |safe: what is joined to it or put into it is escaped for HTML first
};
// An integer that 64 bits do not hold, as data and templates may have: it is kept and compared, but nothing is
// computed with it.
struct LargeInteger {
  std::shared_ptr<const std::string>
      digits;  // decimal, behind '-' where it is negative, without zeros before
};
struct List;
struct Dict;
struct Iterator;
struct Namespace;
struct Function;

// Cheap to copy. All but namespaces and iterators are immutable; an iterator is filled before anybody sees it, so
// that only namespaces can contain themselves.
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
  Value(std::string text) : data_(Text{std::make_shared<const std::string>(std::move(text))}) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(LargeInteger integer) : data_(std::move(integer)) {}
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<const List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<Iterator> iterator) : data_(std::move(iterator)) {}
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(Function function);

  // nullptr where it is of another type.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  const std::string* text() const {
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

  std::vector<Value> items;
  Kind kind = Kind::list;
  int nesting = 1;  // the largest of the elements', and one

  // groupby's groups are tuples whose two elements have names.
  bool is_tuple() const { return kind == Kind::tuple || kind == Kind::group; }
  bool is_view() const { return kind == Kind::keys || kind == Kind::values || kind == Kind::items; }
  void measure_nesting();
};

// Keys are in the order in which they came: strings, numbers, none, and tuples of these.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int nesting = 1;

  const Value* find(std::string_view key) const;
  const Value* find_key(const Value& key) const;
  void set(const Value& key, Value value);
  void measure_nesting();
};
bool may_be_key(const Value& value);

// What filters like map and select return: it is true, has no length, and its elements can be had once.
struct Iterator {
  std::vector<Value> items;
  std::size_t next = 0;
  int nesting = 1;
};

// namespace() makes one: it is the only thing whose members can be set from inside a loop. What cycler() and
// joiner() make keep their state in one.
struct Namespace {
  Dict members;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at this place or with this name; nullptr where neither is given.
  const Value* find(std::size_t place, std::string_view name) const;
  const Value* find_named(std::string_view name) const;
};

// A function, or an object like `loop`, which has members and may be one, too.
struct Function {
  std::string name;
  std::function<Value(Execution&, const Arguments&)> call;  // empty: it is none
  std::function<Value(std::string_view)> member{};          // undefined where it has none of the name
};

// The integer that the decimal digits mean, of any size.
Value integer_of(std::string_view digits);
// -1, 0 or 1 where both are integers, of any size, or truth values.
std::optional<int> integer_order(const Value& a, const Value& b);

bool equal(Execution& execution, const Value& a, const Value& b);

// As Python's str(), repr() and json.dumps(). Those of what can't be written, functions for example, fail.
std::string to_text(Execution& execution, const Value& value);
std::string to_repr(Execution& execution, const Value& value);
struct JsonStyle {
  std::optional<std::string> indent{};          // of one level; without it all is on one line
  std::optional<std::string> item_separator{};  // without it ", ", where all is on one line, else ","
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ascii = false;  // everything else as \uXXXX
};
std::string to_json(Execution& execution, const Value& value, const JsonStyle& style);

}  // namespace llamajit::jinja
