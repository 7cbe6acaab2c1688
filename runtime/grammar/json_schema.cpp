#include "runtime/grammar/json_schema.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/json_lists.h"
#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/json_scalars.h"
#include "runtime/grammar/json_strings.h"
#include "runtime/grammar/schema.h"
#include "runtime/grammar/schema_text.h"

namespace llamajit {
namespace {

constexpr int kMaxNesting = 100;  // of schemas in schemas
constexpr std::size_t kMaxOneOf = 256;
constexpr std::size_t kMaxTogether =
    2'000'000;  // weight_of() all, as schemas that hold together may multiply

constexpr std::string_view kSchemas = "schemas that are read";

class SchemaCompiler {
 public:
  SchemaCompiler(const SchemaJson& root, const std::string& name)
      : root_(root), rules_(name), json_(rules_) {}

  std::shared_ptr<const Grammar> compile() {
    values_ = check_schema_size(root_, rules_.name());
    const RuleId root = rules_.declare("root");
    rules_.define(root, schema(root_, rules_.name() + ":", 0));
    // Schemas that others refer to, which refer to others.
    while (!pending_.empty()) {
      const auto [reference, rule] = pending_.front();
      pending_.pop_front();
      rules_.define(rule, schema(referred(reference, ""), path_of(reference), 0));
    }
    return compile_grammar(rules_, root);
  }

 private:
  std::string path_of(const std::string& reference) const {
    return reference.size() > 1 ? fmt::format("{}: {}", rules_.name(), reference.substr(1))
                                : rules_.name() + ":";
  }

  PartId schema(const SchemaJson& s, const std::string& where, int nesting) {
    if (nesting > kMaxNesting)
      refuse_schema(where, fmt::format("at most {} schemas within one another", kMaxNesting), "more");
    if (s.is_boolean() && s.get<bool>()) return json_.value();
    if (s.is_boolean()) refuse_schema(where, "a schema that something is valid by", "false");
    if (!s.is_object()) refuse_schema(where, "a schema, which is an object, true or false", s.type_name());
    rules_.work().charge(32 + where.size() / 16, kSchemas);
    check_keywords(s, where);
    if (s.contains("$ref") || s.contains("allOf")) return joined(s, where, nesting);
    if (s.contains("anyOf") || s.contains("oneOf")) return alternatives(s, where, nesting);
    if (s.contains("enum") || s.contains("const")) return listed(s, where);
    const std::vector<std::string> types = types_of(s, where);
    if (types.empty()) return json_.value();
    std::vector<PartId> ways;
    ways.reserve(types.size());
    for (const std::string& type : types) ways.push_back(of_type(type, s, where, nesting));
    return rules_.choice(std::move(ways));
  }

  // What a reference within the root means.
  const SchemaJson& referred(const std::string& reference, const std::string& where) {
    // Names are looked for one by one.
    rules_.work().charge(16 + reference.size() / 4 + values_ / 8, "references");
    if (!reference.starts_with('#'))
      refuse_schema(where, "a reference within the schema, as #/$defs/name", reference);
    try {
      return root_.at(SchemaJson::json_pointer(reference.substr(1)));
    } catch (const SchemaJson::exception&) {
      refuse_schema(where, "a reference to what is there", reference);
    }
  }

  static std::string reference_of(const SchemaJson& s, const std::string& where) {
    if (!s["$ref"].is_string()) refuse_schema(at_key(where, "$ref"), "a string", dumped(s["$ref"]));
    return s["$ref"].get<std::string>();
  }

  PartId call_referred(const SchemaJson& s, const std::string& where) {
    const std::string name = reference_of(s, where);
    const auto [entry, is_new] = references_.try_emplace(name, -1);
    if (is_new) {
      referred(name, at_key(where, "$ref"));
      entry->second = rules_.declare(name);
      pending_.emplace_back(name, entry->second);
    }
    return rules_.call(entry->second);
  }

  // $ref and allOf: alone, or with other keywords that hold, too.
  PartId joined(const SchemaJson& s, const std::string& where, int nesting) {
    const bool is_alone = !constrains(without_keywords(s, {"$ref", "allOf"}));
    if (is_alone && !s.contains("allOf")) return call_referred(s, where);
    if (is_alone && !s.contains("$ref") && s["allOf"].is_array() && s["allOf"].size() == 1) {
      return schema(s["allOf"][0], at_key(at_key(where, "allOf"), "0"), nesting + 1);
    }
    return schema(flattened(s, where, nesting), where, nesting + 1);
  }

  // The same without $ref and allOf.
  SchemaJson flattened(const SchemaJson& s, const std::string& where, int nesting) {
    if (nesting > kMaxNesting) {
      refuse_schema(where, fmt::format("at most {} schemas that hold together", kMaxNesting), "more");
    }
    const std::size_t weight = weight_of(s);
    rules_.work().charge(weight * 4, kSchemas);
    together_ += weight;
    if (together_ > kMaxTogether)
      refuse_schema(where, "schemas that hold together and don't multiply", "too many");
    if (!s.is_object() || !(s.contains("$ref") || s.contains("allOf"))) return s;
    check_keywords(s, where);
    SchemaJson all = without_keywords(s, {"$ref", "allOf"});
    if (s.contains("$ref")) {
      const SchemaJson& target = referred(reference_of(s, where), at_key(where, "$ref"));
      const SchemaJson other = flattened(target, where, nesting + 1);
      all = merged_schemas(other, all, where, rules_.work());
    }
    if (s.contains("allOf")) {
      const std::string path = at_key(where, "allOf");
      for (std::size_t i = 0; i < list(s["allOf"], path).size(); ++i) {
        const SchemaJson other = flattened(s["allOf"][i], at_key(path, fmt::to_string(i)), nesting + 1);
        all = merged_schemas(all, other, at_key(path, fmt::to_string(i)), rules_.work());
      }
    }
    return all;
  }

  static const SchemaJson& list(const SchemaJson& value, const std::string& where) {
    if (!value.is_array() || value.empty())
      refuse_schema(where, "a list that is not empty", dumped(value).substr(0, 40));
    return value;
  }

  // anyOf and oneOf. What stands beside them holds for each alternative.
  PartId alternatives(const SchemaJson& s, const std::string& where, int nesting) {
    if (s.contains("anyOf") && s.contains("oneOf"))
      refuse_schema(at_key(where, "oneOf"), "one of anyOf and oneOf", "both");
    const std::string keyword = s.contains("anyOf") ? "anyOf" : "oneOf";
    const std::string path = at_key(where, keyword);
    const SchemaJson& branches = list(s[keyword], path);
    if (keyword == "oneOf") check_exclusive(branches, path);
    rules_.work().charge(weight_of(s) * 4, kSchemas);
    const SchemaJson beside = without_keywords(s, {keyword});
    std::vector<PartId> ways;
    for (std::size_t i = 0; i < branches.size(); ++i) {
      const std::string branch_path = at_key(path, fmt::to_string(i));
      if (!constrains(beside)) {
        ways.push_back(schema(branches[i], branch_path, nesting + 1));
      } else {
        const SchemaJson branch = flattened(branches[i], branch_path, nesting + 1);
        ways.push_back(
            schema(merged_schemas(beside, branch, branch_path, rules_.work()), branch_path, nesting + 1));
      }
    }
    return rules_.choice(std::move(ways));
  }

  void check_exclusive(const SchemaJson& branches, const std::string& where) {
    if (branches.size() > kMaxOneOf)
      refuse_schema(where, fmt::format("at most {} schemas", kMaxOneOf), "more");
    std::vector<SchemaJson> plain;
    plain.reserve(branches.size());
    for (const SchemaJson& branch : branches) plain.push_back(flattened(branch, where, 0));
    for (std::size_t i = 0; i < plain.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (exclude_each_other(plain[i], plain[j], where, rules_.work())) continue;
        refuse_schema(where,
                      "schemas that exclude each other by their types, by const or enum, or by those of a "
                      "property that "
                      "both require",
                      fmt::format("{} and {}, which may both hold; anyOf would do", j, i));
      }
    }
  }

  // The values of enum and const, beside which may stand a type.
  std::vector<SchemaJson> listed_values(const SchemaJson& s, const std::string& where) {
    const SchemaJson beside = without_keywords(s, {"enum", "const", "type"});
    for (const auto& [keyword, value] : beside.items()) {
      refuse_schema(at_key(where, keyword), "no keyword beside enum and const but type", keyword);
    }
    const std::vector<std::string> types = types_of(s, where);
    rules_.work().charge(weight_of(s) * 4, kSchemas);
    const SchemaJson values =
        s.contains("enum") ? list(s["enum"], at_key(where, "enum")) : SchemaJson::array({s["const"]});
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

  PartId listed(const SchemaJson& s, const std::string& where) {
    std::vector<PartId> ways;
    for (const SchemaJson& value : listed_values(s, where)) ways.push_back(rules_.literal(dumped(value)));
    return rules_.choice(std::move(ways));
  }

  PartId of_type(const std::string& type, const SchemaJson& s, const std::string& where, int nesting) {
    if (type == "object") return object(s, where, nesting);
    if (type == "array") return array(s, where, nesting);
    if (type == "string") return string_by_schema(json_, s, where);
    if (type == "integer") return integer_by_schema(json_, s, where);
    if (type == "number") return number_by_schema(json_, s, where);
    return type == "boolean" ? json_.boolean() : json_.null();
  }

  // Items of a list are called by rules, since they are written down more than once.
  PartId item(const SchemaJson& s, const std::string& where, int nesting) {
    const RuleId rule = rules_.declare(where.substr(rules_.name().size() + 2));
    rules_.define(rule, schema(s, where, nesting + 1));
    return rules_.call(rule);
  }

  PartId array(const SchemaJson& s, const std::string& where, int nesting) {
    auto [min, max] = counts_of(s, where, "minItems", "maxItems");
    std::vector<PartId> first;
    if (s.contains("prefixItems")) {
      const std::string path = at_key(where, "prefixItems");
      const SchemaJson& schemas = list(s["prefixItems"], path);
      for (std::size_t i = 0; i < schemas.size(); ++i)
        first.push_back(item(schemas[i], at_key(path, fmt::to_string(i)), nesting));
    }
    const auto prefix = static_cast<int>(first.size());
    const SchemaJson any(true);
    const SchemaJson& others = s.contains("items") ? s["items"] : any;
    if (others.is_array())
      refuse_schema(at_key(where, "items"), "a schema, as prefixItems has the list", "a list");
    if (others == SchemaJson(false)) max = max < 0 ? prefix : std::min(max, prefix);
    if (max >= 0 && max < min)
      refuse_schema(at_key(where, "minItems"), fmt::format("at most {}", max), fmt::to_string(min));
    if (max == 0) return rules_.literal("[]");
    const bool has_more = max < 0 || max > prefix;
    const PartId more = has_more ? item(others, at_key(where, "items"), nesting) : rules_.literal("");
    return json_.between('[', items_of_list(json_, first, more, min, max), ']');
  }

  // What propertyNames says: the names that there are, or how a name is written; neither where any name will do.
  struct Names {
    std::optional<std::vector<std::string>> listed{};
    std::optional<PartId> key{};
  };

  Names names_of(const SchemaJson& s, const std::string& where, int nesting) {
    if (!s.contains("propertyNames") || s["propertyNames"] == SchemaJson(true)) return {};
    const std::string path = at_key(where, "propertyNames");
    const SchemaJson& given = s["propertyNames"];
    if (!given.is_object())
      refuse_schema(path, "a schema of names, which is an object or true", dumped(given));
    const SchemaJson names = flattened(given, path, nesting + 1);
    check_keywords(names, path);
    const SchemaJson beside = without_keywords(names, keywords_of("string"));
    for (const auto& [keyword, value] : beside.items()) {
      if (keyword == "type" || keyword == "enum" || keyword == "const") continue;
      refuse_schema(at_key(path, keyword), "type, enum, const or the form of a string, of names", keyword);
    }
    const std::vector<std::string> types = types_of(names, path);
    if (!types.empty() && std::ranges::count(types, "string") == 0)
      refuse_schema(at_key(path, "type"), "string, as names are", dumped(names["type"]));
    if (beside.contains("enum") || beside.contains("const")) {
      std::vector<std::string> listed;
      if (names.contains("enum"))
        rules_.work().charge(names["enum"].size() * names["enum"].size() / 4, kSchemas);
      for (const SchemaJson& value : listed_values(names, path)) {
        if (!value.is_string()) continue;
        const auto& name = value.get_ref<const std::string&>();
        if (std::ranges::count(listed, name) == 0) listed.push_back(name);
      }
      if (listed.empty()) refuse_schema(path, "one name at least", "none");
      return {.listed = std::move(listed)};
    }
    if (without_keywords(names, {"type"}).empty()) return {};
    if (s.contains("properties") || s.contains("required"))
      refuse_schema(path, "no properties and no required beside a form of names", "them");
    return {.key = string_by_schema(json_, names, path)};
  }

  void check_names(const std::vector<std::string>& required, const std::vector<std::string>& listed,
                   const std::string& where) {
    rules_.work().charge(required.size() * listed.size() / 2, kSchemas);
    for (const std::string& name : required) {
      if (std::ranges::count(listed, name) == 0)
        refuse_schema(where, "names that propertyNames lists", fmt::format("'{}'", name));
    }
  }

  PartId object(const SchemaJson& s, const std::string& where, int nesting) {
    const SchemaJson none = SchemaJson::object();
    const SchemaJson& properties = s.contains("properties") ? s["properties"] : none;
    if (!properties.is_object())
      refuse_schema(at_key(where, "properties"), "an object of schemas", dumped(properties));
    const std::vector<std::string> required = required_names(s, where);
    const bool are_open = !s.contains("properties") && required.empty();
    const SchemaJson default_additional(are_open);
    const SchemaJson& additional =
        s.contains("additionalProperties") ? s["additionalProperties"] : default_additional;
    rules_.work().charge(required.size() * properties.size() / 2, kSchemas);
    const Names allowed = names_of(s, where, nesting);
    if (allowed.listed) check_names(required, *allowed.listed, at_key(where, "required"));
    const auto is_allowed = [&](const std::string& name) {
      return !allowed.listed || std::ranges::count(*allowed.listed, name) > 0;
    };
    if (allowed.listed)
      rules_.work().charge(allowed.listed->size() * (properties.size() + required.size()) / 2, kSchemas);

    std::vector<ObjectMember> members;
    std::vector<std::string> names;
    for (const auto& [name, value] : properties.items()) {
      const bool is_required = std::ranges::count(required, name) > 0;
      if ((value == SchemaJson(false) && !is_required) || !is_allowed(name)) continue;  // it is never there
      members.push_back(
          property(name, value, at_key(at_key(where, "properties"), name), nesting, is_required));
    }
    for (const std::string& name : required) {
      if (properties.contains(name)) continue;
      if (s.contains("additionalProperties") && additional == SchemaJson(false)) {
        refuse_schema(at_key(where, "required"), "names of properties, as there are no others",
                      fmt::format("'{}'", name));
      }
      const SchemaJson& value = s.contains("additionalProperties") ? additional : SchemaJson(true);
      members.push_back(property(name, value, at_key(where, "required"), nesting, true));
      names.push_back(name);
    }
    for (const auto& [name, value] : properties.items()) names.push_back(name);
    std::optional<PartId> other;
    if (additional != SchemaJson(false)) {
      const bool is_any = names.empty() && !allowed.listed && !allowed.key;
      if (is_any && additional == SchemaJson(true)) return json_.object();
      const PartId value = item(additional, at_key(where, "additionalProperties"), nesting);
      if (allowed.listed) {
        for (const std::string& name : *allowed.listed) {
          if (std::ranges::count(names, name) > 0) continue;
          members.push_back({rules_.sequence({rules_.literal(dumped(name)), json_.colon(), value}), false});
        }
      } else {
        const PartId key = allowed.key     ? *allowed.key
                           : names.empty() ? json_.string()
                                           : json_.key_other_than(names);
        other = rules_.sequence({key, json_.colon(), value});
      }
    }
    return json_.between('{', members_of_object(json_, members, other), '}');
  }

  std::vector<std::string> required_names(const SchemaJson& s, const std::string& where) {
    std::vector<std::string> names;
    if (!s.contains("required")) return names;
    const SchemaJson& required = s["required"];
    rules_.work().charge(required.size() * required.size() / 4, kSchemas);
    for (const SchemaJson& name : required.is_array() ? required : SchemaJson::array({required})) {
      if (!required.is_array() || !name.is_string()) {
        refuse_schema(at_key(where, "required"), "a list of names", dumped(required));
      }
      if (std::ranges::count(names, name.get_ref<const std::string&>()) == 0) names.push_back(name);
    }
    return names;
  }

  ObjectMember property(const std::string& name, const SchemaJson& value, const std::string& where,
                        int nesting, bool is_required) {
    const PartId key = rules_.literal(dumped(name));
    return {rules_.sequence({key, json_.colon(), schema(value, where, nesting + 1)}), is_required};
  }

  const SchemaJson& root_;
  std::size_t values_ = 0;    // of root_
  std::size_t together_ = 0;  // looked at as schemas that hold together
  GrammarRules rules_;
  JsonRules json_;
  std::map<std::string, RuleId> references_;
  std::deque<std::pair<std::string, RuleId>> pending_;
};

}  // namespace

std::shared_ptr<const Grammar> compile_json_schema(const nlohmann::ordered_json& schema,
                                                   const std::string& name) {
  return SchemaCompiler(schema, name).compile();
}

std::shared_ptr<const Grammar> parse_json_schema(std::string_view text, const std::string& name) {
  return compile_json_schema(parse_schema_text(text, name), name);
}

std::shared_ptr<const Grammar> json_object_grammar() {
  return compile_json_schema({{"type", "object"}}, "json_object");
}

}  // namespace llamajit
