#include "runtime/grammar/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace llamajit {
namespace {

constexpr std::array<std::string_view, 7> kTypes{"object",  "array",   "string", "number",
                                                 "integer", "boolean", "null"};
constexpr std::array<std::string_view, 15> kAnnotations{
    "$schema", "$id",      "$comment", "$anchor",  "$defs",     "definitions", "title", "description",
    "default", "examples", "example",  "readOnly", "writeOnly", "deprecated",  "strict"};

constexpr std::string_view kTogether = "schemas that hold together, or must exclude each other";

// Each of one list is held against each of the other.
void charge_pairs(std::size_t a, std::size_t b, CompileWork& work) {
  work.charge(8 + a * b, kTogether);
}

// The values of enum and const, where the schema has either.
std::optional<std::vector<SchemaJson>> listed_values(const SchemaJson& schema) {
  if (!schema.is_object()) return std::nullopt;
  if (schema.contains("const")) return std::vector<SchemaJson>{schema["const"]};
  if (!schema.contains("enum") || !schema["enum"].is_array()) return std::nullopt;
  return schema["enum"].get<std::vector<SchemaJson>>();
}

SchemaJson merged_types(const SchemaJson& a, const SchemaJson& b, const std::string& where) {
  const std::vector<std::string> first = types_of({{"type", a}}, where),
                                 second = types_of({{"type", b}}, where);
  const auto has = [](const std::vector<std::string>& types, std::string_view type) {
    return std::ranges::count(types, type) > 0;
  };
  SchemaJson both = SchemaJson::array();
  for (const std::string_view type : kTypes) {
    const auto allows = [&](const auto& types) {
      return has(types, type) || (type == "integer" && has(types, "number"));
    };
    if (allows(first) && allows(second)) both.push_back(std::string(type));
  }
  if (both.empty()) refuse_schema(at_key(where, "type"), "types that a value can have at once", dumped(b));
  return both;
}

SchemaJson merged_lists(const SchemaJson& a, const SchemaJson& b, CompileWork& work) {
  charge_pairs(a.size() + b.size(), b.size(), work);
  SchemaJson all = a;
  for (const SchemaJson& item : b) {
    if (std::ranges::find(all, item) == all.end()) all.push_back(item);
  }
  return all;
}

SchemaJson merged_properties(const SchemaJson& a, const SchemaJson& b, CompileWork& work) {
  charge_pairs(a.size() + b.size(), b.size(), work);
  SchemaJson all = a;
  for (const auto& [name, schema] : b.items()) {
    if (!all.contains(name)) {
      all[name] = schema;
    } else if (all[name] != schema) {
      all[name] = SchemaJson{{"allOf", SchemaJson::array({all[name], schema})}};
    }
  }
  return all;
}

// Of strings, patterns and formats hold each for itself, so that any number of them can hold together.
void add_form(SchemaJson& all, const std::string& keyword, const SchemaJson& value, CompileWork& work) {
  if (all[keyword] == value) return;
  const SchemaJson form = SchemaJson::array({SchemaJson{{keyword, value}}});
  all[kMoreForms] = all.contains(kMoreForms) ? merged_lists(all[kMoreForms], form, work) : form;
}

SchemaJson merged_values(const std::string& keyword, const SchemaJson& a, const SchemaJson& b,
                         const std::string& where, CompileWork& work) {
  static const std::vector<std::string_view> kLargest{"minimum", "exclusiveMinimum", "minLength", "minItems"};
  static const std::vector<std::string_view> kSmallest{"maximum", "exclusiveMaximum", "maxLength",
                                                       "maxItems"};
  if (a == b) return a;
  if (keyword == "type") return merged_types(a, b, where);
  if (keyword == kMoreForms) return merged_lists(a, b, work);
  if (keyword == "required" && a.is_array() && b.is_array()) return merged_lists(a, b, work);
  if (keyword == "properties" && a.is_object() && b.is_object()) return merged_properties(a, b, work);
  if (keyword == "items") return {{"allOf", SchemaJson::array({a, b})}};
  if (keyword == "enum" && a.is_array() && b.is_array()) {
    charge_pairs(a.size(), b.size(), work);
    SchemaJson both = SchemaJson::array();
    std::ranges::copy_if(a, std::back_inserter(both),
                         [&](const SchemaJson& value) { return std::ranges::find(b, value) != b.end(); });
    if (both.empty())
      refuse_schema(at_key(where, keyword), "a value that is in both of two lists", dumped(b));
    return both;
  }
  if (a.is_number() && b.is_number() && std::ranges::count(kLargest, keyword) > 0) return a < b ? b : a;
  if (a.is_number() && b.is_number() && std::ranges::count(kSmallest, keyword) > 0) return a < b ? a : b;
  refuse_schema(at_key(where, keyword), "one of it in schemas that hold together", "two");
}

// additionalProperties and items speak of what stands beside properties and prefixItems of the same schema; so these
// must not come from the other.
void check_alone(const SchemaJson& a, const SchemaJson& b, const std::string& where, CompileWork& work) {
  if (a.contains("additionalProperties") && a["additionalProperties"] != SchemaJson(true) &&
      b.contains("properties")) {
    const SchemaJson none = SchemaJson::object();
    const SchemaJson& own = a.contains("properties") ? a["properties"] : none;
    charge_pairs(own.size(), b["properties"].size(), work);
    for (const auto& [name, schema] : b["properties"].items()) {
      if (!own.contains(name)) {
        refuse_schema(at_key(where, "additionalProperties"),
                      "no further properties in schemas that hold together with it",
                      fmt::format("'{}'", name));
      }
    }
  }
  if (a.contains("prefixItems") && (b.contains("items") || b.contains("prefixItems"))) {
    refuse_schema(at_key(where, "prefixItems"), "one schema of items where schemas hold together", "two");
  }
}

}  // namespace

std::string at_key(const std::string& where, std::string_view key) {
  std::string path = where + (where.ends_with(':') ? " /" : "/");
  for (const char c : key) {
    if (c == '~' || c == '/') {
      path += c == '~' ? "~0" : "~1";
    } else {
      path += c;
    }
  }
  return path;
}

void refuse_schema(const std::string& where, std::string_view expected, std::string_view found) {
  throw std::runtime_error(
      fmt::format("{}{} expected {}, found {}", where, where.ends_with(':') ? "" : ":", expected, found));
}

std::string dumped(const SchemaJson& value) {
  return value.dump(-1, ' ', false, SchemaJson::error_handler_t::replace);
}

std::size_t weight_of(const SchemaJson& json) {
  if (json.is_string()) return 1 + json.get_ref<const std::string&>().size() / kWeightBytes;
  std::size_t weight = 1;
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) weight += key.size() / kWeightBytes + weight_of(value);
  } else if (json.is_array()) {
    for (const SchemaJson& value : json) weight += weight_of(value);
  }
  return weight;
}

bool is_annotation(std::string_view keyword) {
  return std::ranges::count(kAnnotations, keyword) > 0;
}

const std::vector<std::string_view>& keywords_of(std::string_view type) {
  static const std::map<std::string_view, std::vector<std::string_view>> kKeywords{
      {"object", {"properties", "required", "additionalProperties", "propertyNames"}},
      {"array", {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}},
      {"string", {"minLength", "maxLength", "pattern", "format", "contentEncoding", kMoreForms}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
      {"", {}},
  };
  const auto at = kKeywords.find(type == "integer" ? "number" : type);
  return at == kKeywords.end() ? kKeywords.at("") : at->second;
}

bool constrains(const SchemaJson& schema) {
  if (!schema.is_object()) return schema == SchemaJson(false);
  return std::ranges::any_of(schema.items(), [](const auto& item) { return !is_annotation(item.key()); });
}

SchemaJson without_keywords(const SchemaJson& schema, const std::vector<std::string_view>& keywords) {
  SchemaJson rest = SchemaJson::object();
  for (const auto& [keyword, value] : schema.items()) {
    if (!is_annotation(keyword) && std::ranges::count(keywords, keyword) == 0) rest[keyword] = value;
  }
  return rest;
}

std::vector<std::string> types_of(const SchemaJson& schema, const std::string& where) {
  std::vector<std::string> types;
  if (!schema.is_object()) return types;
  if (!schema.contains("type")) {
    for (const std::string_view type : {"object", "array", "string", "number"}) {
      if (std::ranges::any_of(keywords_of(type), [&](auto keyword) { return schema.contains(keyword); })) {
        types.emplace_back(type);
      }
    }
    return types;
  }
  const SchemaJson listed = schema["type"].is_array() ? schema["type"] : SchemaJson::array({schema["type"]});
  for (const SchemaJson& type : listed) {
    const std::string name = type.is_string() ? type.get<std::string>() : dumped(type);
    if (std::ranges::count(kTypes, name) == 0) {
      refuse_schema(at_key(where, "type"), "object, array, string, number, integer, boolean or null", name);
    }
    if (std::ranges::count(types, name) == 0) types.push_back(name);
  }
  if (types.empty()) refuse_schema(at_key(where, "type"), "one type at least", "none");
  // A number may be whole, so that integers say nothing more.
  if (std::ranges::count(types, "number") > 0) std::erase(types, "integer");
  return types;
}

bool has_type(const SchemaJson& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number" || !value.is_number()) return value.is_number();
  return value.is_number_integer() || std::trunc(value.get<double>()) == value.get<double>();
}

void check_keywords(const SchemaJson& schema, const std::string& where) {
  static const std::vector<std::string_view> kOthers{"type",  "enum",  "const", "anyOf",
                                                     "oneOf", "allOf", "$ref"};
  const auto is_honoured = [&](std::string_view keyword) {
    const auto has = [&](const auto& keywords) { return std::ranges::count(keywords, keyword) > 0; };
    return has(kOthers) || has(keywords_of("object")) || has(keywords_of("array")) ||
           has(keywords_of("string")) || has(keywords_of("number"));
  };
  for (const auto& [keyword, value] : schema.items()) {
    if (is_annotation(keyword)) continue;
    if (!is_honoured(keyword)) refuse_schema(at_key(where, keyword), "a keyword that is honoured", keyword);
    if (keyword == "uniqueItems" && value != SchemaJson(false))
      refuse_schema(at_key(where, keyword), "false", dumped(value));
  }
}

SchemaJson merged_schemas(const SchemaJson& a, const SchemaJson& b, const std::string& where,
                          CompileWork& work) {
  work.charge(4 * (weight_of(a) + weight_of(b)), kTogether);
  if (!a.is_object() || !b.is_object()) {
    if (!constrains(a) && !constrains(b)) return SchemaJson::object();
    if (!constrains(a) || !constrains(b)) return constrains(a) ? a : b;
    return SchemaJson(false);
  }
  check_alone(a, b, where, work);
  check_alone(b, a, where, work);
  SchemaJson all = without_keywords(a, {});
  for (const auto& [keyword, value] : b.items()) {
    if (is_annotation(keyword)) continue;
    const bool is_form = keyword == "pattern" || keyword == "format" || keyword == "contentEncoding";
    if (all.contains(keyword) && is_form) {
      add_form(all, keyword, value, work);
      continue;
    }
    all[keyword] = all.contains(keyword) ? merged_values(keyword, all[keyword], value, where, work) : value;
  }
  return all;
}

bool exclude_each_other(const SchemaJson& a, const SchemaJson& b, const std::string& where, CompileWork& work,
                        int depth) {
  constexpr int kMaxDepth = 4;
  if (!a.is_object() || !b.is_object() || depth > kMaxDepth) return false;
  work.charge(2 * (weight_of(a) + weight_of(b)), kTogether);
  const auto first_values = listed_values(a), second_values = listed_values(b);
  if (first_values && second_values) {
    charge_pairs(first_values->size(), second_values->size(), work);
    return std::ranges::none_of(*first_values, [&](const SchemaJson& value) {
      return std::ranges::find(*second_values, value) != second_values->end();
    });
  }
  // Types, as they are said; a listed value has one, too.
  const auto may_have = [&](const SchemaJson& schema, const auto& values, std::string_view type) {
    if (values)
      return std::ranges::any_of(*values, [&](const SchemaJson& value) { return has_type(value, type); });
    const std::vector<std::string> types = types_of(schema, where);
    return types.empty() || std::ranges::count(types, type) > 0 ||
           (type == "integer" && std::ranges::count(types, "number") > 0);
  };
  const auto says_types = [](const SchemaJson& schema) {
    return schema.contains("type") || schema.contains("const") || schema.contains("enum");
  };
  if (says_types(a) && says_types(b) && std::ranges::none_of(kTypes, [&](std::string_view type) {
        return may_have(a, first_values, type) && may_have(b, second_values, type);
      })) {
    return true;
  }
  const std::vector<std::string> only_objects{"object"};
  if (types_of(a, where) != only_objects || types_of(b, where) != only_objects) return false;
  if (!a.contains("required") || !b.contains("required") || !a.contains("properties") ||
      !b.contains("properties")) {
    return false;
  }
  charge_pairs(a["required"].size(), b["required"].size() + a["properties"].size() + b["properties"].size(),
               work);
  return std::ranges::any_of(a["required"], [&](const SchemaJson& name) {
    if (!name.is_string() || std::ranges::find(b["required"], name) == b["required"].end()) return false;
    const auto& key = name.get_ref<const std::string&>();
    return a["properties"].contains(key) && b["properties"].contains(key) &&
           exclude_each_other(a["properties"][key], b["properties"][key], where, work, depth + 1);
  });
}

}  // namespace llamajit
