#include "runtime/jinja/json_value.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/jinja/execution.h"

namespace llamajit::jinja {
namespace {

using Json = nlohmann::ordered_json;

// Makes values of what the parser meets. Integers come with their digits, so that none is rounded.
class ValueMaker {
 public:
  explicit ValueMaker(const std::string& name) : name_(name) {}
  Value made() { return std::move(made_); }

  // What nlohmann::json_sax asks for; each returns whether to go on.
  bool null() { return add(None{}); }
  bool boolean(bool truth) { return add(truth); }
  bool number_integer(std::int64_t number) { return add(number); }
  bool number_unsigned(std::uint64_t number) { return add(integer_of(std::to_string(number))); }
  bool number_float(double number, const std::string& written) {
    const bool is_integer = written.find_first_not_of("-0123456789") == std::string::npos;
    return add(is_integer ? integer_of(written) : Value(number));
  }
  bool string(std::string& text) { return add(text); }
  static bool binary(const Json::binary_t&) { return false; }  // no JSON text has it
  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }
  bool key(std::string& key) {
    open_.back().key = std::move(key);
    return true;
  }
  bool end_object() {
    Dict dict = std::move(open_.back().dict);
    open_.pop_back();
    return add(std::move(dict));
  }
  bool end_array() {
    List list = std::move(open_.back().list);
    open_.pop_back();
    return add(std::move(list));
  }
  static bool parse_error(std::size_t, const std::string&, const Json::exception&) { return false; }

 private:
  // An array or an object whose end has not come yet.
  struct Container {
    bool is_dict;
    List list{};
    Dict dict{};
    std::string key{};
  };

  bool open(bool is_dict) {
    // The variables are one more level, and what is within them is the first.
    if (std::ssize(open_) >= Limits{}.nesting - 1) {
      throw std::runtime_error(fmt::format("{}: expected at most {} values within each other, found more",
                                           name_, Limits{}.nesting - 1));
    }
    open_.push_back({is_dict});
    return true;
  }

  bool add(Value value) {
    if (open_.empty()) {
      made_ = std::move(value);
    } else if (open_.back().is_dict) {
      open_.back().dict.set(open_.back().key, std::move(value));
    } else {
      open_.back().list.items.push_back(std::move(value));
    }
    return true;
  }

  const std::string& name_;
  std::vector<Container> open_;
  Value made_;
};

}  // namespace

Value parse_json(std::string_view text, const std::string& name) {
  ValueMaker maker(name);
  if (!Json::sax_parse(text, &maker))
    throw std::runtime_error(fmt::format("{}: expected JSON, found something else", name));
  return maker.made();
}

Value json_or_text(std::string_view text) {
  if (!Json::accept(text)) return std::string(text);
  return parse_json(text, "a template's variable");
}

}  // namespace llamajit::jinja
