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
using Text = std::shared_ptr<const std::string>;  // UTF-8; lengths and indices count code points
struct List;
struct Dict;
struct Namespace;
struct Function;

// Cheap to copy. All but namespaces are immutable, so that no other value can contain itself.
class Value {
 public:
  using Data =
      std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Function>>;

  Value() = default;
  Value(None none) : data_(none) {}
  Value(Undefined undefined) : data_(std::move(undefined)) {}
  Value(bool truth) : data_(truth) {}
  Value(std::int64_t integer) : data_(integer) {}
  Value(double number) : data_(number) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(List list);
  Value(Dict dict);
  Value(std::shared_ptr<Namespace> space) : data_(std::move(space)) {}
  Value(Function function);

  // nullptr where it is of another type.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  const std::string* text() const { return pointer<Text, const std::string>(); }
  const List* list() const { return pointer<std::shared_ptr<const List>, const List>(); }
  const Dict* dict() const { return pointer<std::shared_ptr<const Dict>, const Dict>(); }
  Namespace* space() const { return pointer<std::shared_ptr<Namespace>, Namespace>(); }
  const Function* function() const { return pointer<std::shared_ptr<const Function>, const Function>(); }

  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  // An integer, or a truth value, which counts as 0 or 1.
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
  std::vector<Value> items;
  bool tuple = false;  // prints otherwise, and equals no list
  int nesting = 1;     // Value's constructor knows it
};

// Keys are strings, in the order in which they came.
struct Dict {
  std::vector<std::pair<std::string, Value>> entries;
  int nesting = 1;

  const Value* find(std::string_view key) const;
  void set(const std::string& key, Value value);
};

// namespace() makes one: it is the only thing whose members can be set from inside a loop.
struct Namespace {
  Dict members;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at this place or with this name; nullptr where neither is given.
  const Value* find(std::size_t place, std::string_view name) const;
};

struct Function {
  std::string name;
  std::function<Value(Execution&, const Arguments&)> call;
};

bool equal(Execution& execution, const Value& a, const Value& b);

// As Python's str() and repr(), and as json.dumps() with ensure_ascii=False; `indent` < 0: on one line. Those
// of what can't be written, functions for example, fail.
std::string to_text(Execution& execution, const Value& value);
std::string to_repr(Execution& execution, const Value& value);
struct JsonStyle {
  int indent = -1;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
std::string to_json(Execution& execution, const Value& value, const JsonStyle& style);

}  // namespace llamajit::jinja
