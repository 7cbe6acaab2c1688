#include "runtime/grammar/json_objects.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/json_lists.h"
#include "runtime/grammar/json_strings.h"

namespace llamajit {
namespace {

using Names = std::vector<std::string>;

bool has(const Names& names, const std::string& name) {
  return std::ranges::count(names, name) > 0;
}

// The value of a keyword, or what it is where the schema hasn't got it.
const SchemaJson& value_of(const SchemaJson& schema, const char* keyword, const SchemaJson& otherwise) {
  return schema.contains(keyword) ? schema[keyword] : otherwise;
}

const SchemaJson& checked_properties(const SchemaJson& schema, const std::string& where,
                                     const SchemaJson& none) {
  const SchemaJson& properties = value_of(schema, "properties", none);
  if (!properties.is_object())
    refuse_schema(at_key(where, "properties"), "an object of schemas", dumped(properties));
  return properties;
}

Names required_names(const SchemaJson& schema, const std::string& where, CompileWork& work) {
  Names names;
  if (!schema.contains("required")) return names;
  const SchemaJson& required = schema["required"];
  if (!required.is_array()) refuse_schema(at_key(where, "required"), "a list of names", dumped(required));
  work.charge(required.size() * required.size() / 4, kSchemas);
  for (const SchemaJson& name : required) {
    if (!name.is_string()) refuse_schema(at_key(where, "required"), "a list of names", dumped(required));
    if (!has(names, name.get_ref<const std::string&>())) names.push_back(name);
  }
  return names;
}

// What propertyNames says: the names that there are, or how a name is written; neither where any name will do.
struct AllowedNames {
  std::optional<Names> listed{};
  std::optional<PartId> key{};
};

// Throws for what says anything but that.
void check_schema_of_names(const SchemaJson& names, const std::string& where) {
  check_keywords(names, where);
  const SchemaJson beside = without_keywords(names, keywords_of("string"));
  for (const auto& [keyword, value] : beside.items()) {
    if (keyword == "type" || keyword == "enum" || keyword == "const") continue;
    refuse_schema(at_key(where, keyword), "type, enum, const or the form of a string, of names", keyword);
  }
  const std::vector<std::string> types = types_of(names, where);
  if (!types.empty() && !has(types, "string"))
    refuse_schema(at_key(where, "type"), "string, as names are", dumped(names["type"]));
}

Names listed_names(const SchemaJson& names, const std::string& where, CompileWork& work) {
  if (names.contains("enum")) work.charge(names["enum"].size() * names["enum"].size() / 4, kSchemas);
  Names listed;
  for (const SchemaJson& value : allowed_values(names, where, work)) {
    if (!value.is_string()) continue;
    const auto& name = value.get_ref<const std::string&>();
    if (!has(listed, name)) listed.push_back(name);
  }
  if (listed.empty()) refuse_schema(where, "one name at least", "none");
  return listed;
}

class ObjectBySchema {
 public:
  ObjectBySchema(JsonRules& json, SchemaResolver& resolver, const SchemaParts& parts,
                 const SchemaJson& schema, const std::string& where, int nesting)
      : json_(json),
        rules_(json.rules()),
        parts_(parts),
        schema_(schema),
        where_(where),
        properties_(checked_properties(schema, where, no_properties_)),
        required_(required_names(schema, where, rules_.work())),
        are_open_(!schema.contains("properties") && required_.empty()),
        additional_(value_of(schema, "additionalProperties", are_open_)),
        allowed_(allowed_names(resolver, nesting)) {}

  PartId object() {
    rules_.work().charge(required_.size() * properties_.size() / 2, kSchemas);
    if (allowed_.listed) check_required(*allowed_.listed);
    add_declared();
    add_required();
    if (additional_ == SchemaJson(false)) return within_braces(std::nullopt);
    if (is_any()) return json_.object();
    const PartId value = parts_.repeated(additional_, at_key(where_, "additionalProperties"));
    if (!allowed_.listed) return within_braces(member(other_key(), value));
    for (const std::string& name : *allowed_.listed) {
      if (!has(names_, name)) members_.push_back({member(rules_.literal(dumped(name)), value), false});
    }
    return within_braces(std::nullopt);
  }

 private:
  AllowedNames allowed_names(SchemaResolver& resolver, int nesting) {
    if (!schema_.contains("propertyNames") || schema_["propertyNames"] == SchemaJson(true)) return {};
    const std::string path = at_key(where_, "propertyNames");
    const SchemaJson& given = schema_["propertyNames"];
    if (!given.is_object())
      refuse_schema(path, "a schema of names, which is an object or true", dumped(given));
    const SchemaJson names = resolver.flattened(given, path, nesting + 1);
    check_schema_of_names(names, path);
    if (names.contains("enum") || names.contains("const"))
      return {.listed = listed_names(names, path, rules_.work())};
    if (without_keywords(names, {"type"}).empty()) return {};
    if (schema_.contains("properties") || schema_.contains("required"))
      refuse_schema(path, "no properties and no required beside a form of names", "them");
    return {.key = string_by_schema(json_, names, path)};
  }

  void check_required(const Names& listed) {
    rules_.work().charge(listed.size() * (properties_.size() + 2 * required_.size()) / 2, kSchemas);
    for (const std::string& name : required_) {
      if (!has(listed, name))
        refuse_schema(at_key(where_, "required"), "names that propertyNames lists",
                      fmt::format("'{}'", name));
    }
  }

  PartId member(PartId key, PartId value) { return rules_.sequence({key, json_.colon(), value}); }

  void add(const std::string& name, const SchemaJson& value, const std::string& where, bool is_required) {
    const PartId key = rules_.literal(dumped(name));
    members_.push_back({member(key, parts_.value(value, where)), is_required});
  }

  void add_declared() {
    const std::string path = at_key(where_, "properties");
    for (const auto& [name, value] : properties_.items()) {
      names_.push_back(name);
      const bool is_required = has(required_, name);
      const bool is_never =
          (value == SchemaJson(false) && !is_required) || (allowed_.listed && !has(*allowed_.listed, name));
      if (!is_never) add(name, value, at_key(path, name), is_required);
    }
  }

  // Those that are not declared.
  void add_required() {
    const std::string path = at_key(where_, "required");
    for (const std::string& name : required_) {
      if (properties_.contains(name)) continue;
      const bool is_said = schema_.contains("additionalProperties");
      if (is_said && additional_ == SchemaJson(false)) {
        refuse_schema(path, "names of properties, as there are no others", fmt::format("'{}'", name));
      }
      names_.push_back(name);
      add(name, is_said ? additional_ : SchemaJson(true),
          is_said ? at_key(where_, "additionalProperties") : path, true);
    }
  }

  // Whether nothing is said of its members.
  bool is_any() const {
    return names_.empty() && !allowed_.listed && !allowed_.key && additional_ == SchemaJson(true);
  }

  PartId other_key() {
    if (allowed_.key) return *allowed_.key;
    return names_.empty() ? json_.string() : json_.key_other_than(names_);
  }

  PartId within_braces(std::optional<PartId> other) {
    return json_.between('{', members_of_object(json_, std::move(members_), other), '}');
  }

  JsonRules& json_;
  GrammarRules& rules_;
  const SchemaParts& parts_;
  const SchemaJson& schema_;
  const std::string& where_;
  const SchemaJson no_properties_ = SchemaJson::object();
  const SchemaJson& properties_;
  Names required_;
  const SchemaJson are_open_;  // additionalProperties, where it isn't said
  const SchemaJson& additional_;
  AllowedNames allowed_;
  Names names_;  // of members that are known
  std::vector<ObjectMember> members_;
};

}  // namespace

PartId object_by_schema(JsonRules& json, SchemaResolver& resolver, const SchemaParts& parts,
                        const SchemaJson& schema, const std::string& where, int nesting) {
  return ObjectBySchema(json, resolver, parts, schema, where, nesting).object();
}

}  // namespace llamajit
