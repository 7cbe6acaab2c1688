#include "runtime/jinja/json_value.h"

#include <cstdint>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/jinja/execution.h"

namespace llamajit::jinja {
namespace {

using Json = nlohmann::ordered_json;

Value value_of(const Json& json, const std::string& name, int levels) {
  if (levels < 0) {
    throw std::runtime_error(fmt::format("{}: expected at most {} values within each other, found more", name,
                                         Limits{}.nesting - 1));
  }
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List list;
    for (const Json& item : json) list.items.push_back(value_of(item, name, levels - 1));
    return list;
  }
  if (!json.is_object()) return None{};
  Dict dict;
  for (const auto& [key, item] : json.items())
    dict.entries.emplace_back(key, value_of(item, name, levels - 1));
  return dict;
}

}  // namespace

Value parse_json(std::string_view text, const std::string& name) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    throw std::runtime_error(fmt::format("{}: expected JSON, found something else", name));
  return value_of(json, name, Limits{}.nesting - 1);  // the variables are one more level
}

Value json_or_text(std::string_view text) {
  if (!Json::accept(text)) return std::string(text);
  return parse_json(text, "a template's variable");
}

}  // namespace llamajit::jinja
