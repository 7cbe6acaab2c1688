#include "runtime/grammar/schema_resolver.h"

#include <algorithm>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::size_t kMaxTogether = 2'000'000;  // weight_of() all: schemas that hold together may multiply

}  // namespace

std::string reference_of(const SchemaJson& s, const std::string& where) {
  if (!s["$ref"].is_string()) refuse_schema(at_key(where, "$ref"), "a string", dumped(s["$ref"]));
  return s["$ref"].get<std::string>();
}

const SchemaJson& list_of(const SchemaJson& value, const std::string& where) {
  if (!value.is_array() || value.empty())
    refuse_schema(where, "a list that is not empty", dumped(value).substr(0, 40));
  return value;
}

std::vector<SchemaJson> allowed_values(const SchemaJson& s, const std::string& where, CompileWork& work) {
  const SchemaJson beside = without_keywords(s, {"enum", "const", "type"});
  for (const auto& [keyword, value] : beside.items()) {
    refuse_schema(at_key(where, keyword), "no keyword beside enum and const but type", keyword);
  }
  const std::vector<std::string> types = types_of(s, where);
  work.charge(weight_of(s) * 4, kSchemas);
  const SchemaJson values =
      s.contains("enum") ? list_of(s["enum"], at_key(where, "enum")) : SchemaJson::array({s["const"]});
  std::vector<SchemaJson> fitting;
  for (const SchemaJson& value : values) {
    const bool fits = types.empty() || std::ranges::any_of(types, [&](const std::string& type) {
                        return has_type(value, type);
                      });
    if (fits && (!s.contains("const") || s["const"] == value)) fitting.push_back(value);
  }
  if (fitting.empty()) refuse_schema(where, "a value that all of enum, const and type allow", "none");
  return fitting;
}

const SchemaJson& SchemaResolver::referred(const std::string& reference, const std::string& where) {
  // Names are looked for one by one.
  work_.charge(16 + reference.size() / 4 + values_ / 8, "references");
  if (!reference.starts_with('#'))
    refuse_schema(where, "a reference within the schema, as #/$defs/name", reference);
  try {
    return root_.at(SchemaJson::json_pointer(reference.substr(1)));
  } catch (const SchemaJson::exception&) {
    refuse_schema(where, "a reference to what is there", reference);
  }
}

SchemaJson SchemaResolver::flattened(const SchemaJson& s, const std::string& where, int nesting) {
  if (nesting > kMaxNesting) {
    refuse_schema(where, fmt::format("at most {} schemas that hold together", kMaxNesting), "more");
  }
  const std::size_t weight = weight_of(s);
  work_.charge(weight * 4, kSchemas);
  together_ += weight;
  if (together_ > kMaxTogether)
    refuse_schema(where, "schemas that hold together and don't multiply", "too many");
  if (!s.is_object() || !(s.contains("$ref") || s.contains("allOf"))) return s;
  check_keywords(s, where);
  SchemaJson all = without_keywords(s, {"$ref", "allOf"});
  if (s.contains("$ref")) {
    const SchemaJson& target = referred(reference_of(s, where), at_key(where, "$ref"));
    const SchemaJson other = flattened(target, where, nesting + 1);
    all = merged_schemas(other, all, where, work_);
  }
  if (s.contains("allOf")) {
    const std::string path = at_key(where, "allOf");
    for (std::size_t i = 0; i < list_of(s["allOf"], path).size(); ++i) {
      const SchemaJson other = flattened(s["allOf"][i], at_key(path, fmt::to_string(i)), nesting + 1);
      all = merged_schemas(all, other, at_key(path, fmt::to_string(i)), work_);
    }
  }
  return all;
}

}  // namespace llamajit
