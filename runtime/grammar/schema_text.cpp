#include "runtime/grammar/schema_text.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/compile_work.h"

namespace llamajit {
namespace {

[[noreturn]] void refuse_size(const std::string& name, std::size_t most, std::string_view what) {
  const bool is_levels = what == "levels of JSON";
  refuse_schema(name + ":", fmt::format("{}at most {} {}", is_levels ? "" : "a schema of ", most, what),
                "more");
}

// Counts what a text has, and keeps nothing of it; stops where it is no JSON. An object's keys are looked for one by one
// as they are read (ordered_json is a list), which is why they count by their square.
class Sizes : public nlohmann::json_sax<SchemaJson> {
 public:
  explicit Sizes(const std::string& name) : name_(name), work_(name) {}

  bool null() override { return value(); }
  bool boolean(bool /*value*/) override { return value(); }
  bool number_integer(number_integer_t /*value*/) override { return value(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return value(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return value(); }
  bool string(string_t& /*value*/) override { return value(); }
  bool binary(binary_t& /*value*/) override { return value(); }
  bool start_object(std::size_t /*size*/) override { return open(); }
  bool start_array(std::size_t /*size*/) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& /*key*/) override {
    work_.charge(++keys_.back() / 4, "keys of one object");
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool value() {
    if (++values_ > kMaxSchemaValues) refuse_size(name_, kMaxSchemaValues, "values");
    return true;
  }
  bool open() {
    keys_.push_back(0);
    if (keys_.size() > static_cast<std::size_t>(kMaxSchemaLevels)) {
      refuse_size(name_, static_cast<std::size_t>(kMaxSchemaLevels), "levels of JSON");
    }
    return value();
  }
  bool close() {
    keys_.pop_back();
    return true;
  }

  const std::string& name_;
  CompileWork work_;
  std::size_t values_ = 0;
  std::vector<std::size_t> keys_;  // of the objects that are open; 0 for lists
};

bool is_deeper_than(const SchemaJson& json, int depth) {
  if (!json.is_structured()) return false;
  if (depth == 0) return true;
  return std::ranges::any_of(json,
                             [depth](const SchemaJson& inner) { return is_deeper_than(inner, depth - 1); });
}

std::size_t values_in(const SchemaJson& json) {
  std::size_t count = 1;
  if (json.is_structured()) {
    for (const SchemaJson& inner : json) count += values_in(inner);
  }
  return count;
}

}  // namespace

SchemaJson parse_schema_text(std::string_view text, const std::string& name) {
  if (text.size() > kMaxSchemaBytes) refuse_size(name, kMaxSchemaBytes, "bytes");
  Sizes sizes(name);
  SchemaJson::sax_parse(text, &sizes);
  try {
    return SchemaJson::parse(text);
  } catch (const SchemaJson::exception& error) {
    throw std::runtime_error(fmt::format("{}: expected JSON, found {}", name, error.what()));
  }
}

std::size_t check_schema_size(const SchemaJson& schema, const std::string& name) {
  if (is_deeper_than(schema, kMaxSchemaLevels)) {
    refuse_size(name, static_cast<std::size_t>(kMaxSchemaLevels), "levels of JSON");
  }
  const std::size_t values = values_in(schema);
  if (values > kMaxSchemaValues) refuse_size(name, kMaxSchemaValues, "values");
  if (weight_of(schema) > kMaxSchemaBytes / kWeightBytes + values)
    refuse_size(name, kMaxSchemaBytes, "bytes");
  return values;
}

}  // namespace llamajit
