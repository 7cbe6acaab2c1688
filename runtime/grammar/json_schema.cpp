#include "runtime/grammar/json_schema.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

  // enum and const, beside which may stand a type.
  PartId listed(const SchemaJson& s, const std::string& where) {
    const SchemaJson beside = without_keywords(s, {"enum", "const", "type"});
    for (const auto& [keyword, value] : beside.items()) {
      refuse_schema(at_key(where, keyword), "no keyword beside enum and const but type", keyword);
    }
    const std::vector<std::string> types = types_of(s, where);
    rules_.work().charge(weight_of(s) * 4, kSchemas);
    const SchemaJson values =
        s.contains("enum") ? list(s["enum"], at_key(where, "enum")) : SchemaJson::array({s["const"]});
    std::vector<PartId> ways;
    for (const SchemaJson& value : values) {
      const bool fits = types.empty() || std::ranges::any_of(types, [&](const std::string& type) {
                          return has_type(value, type);
                        });
      if (fits && (!s.contains("const") || s["const"] == value))
        ways.push_back(rules_.literal(dumped(value)));
    }
    if (ways.empty()) refuse_schema(where, "a value that all of enum, const and type allow", "none");
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
    return json_.between('[', items(first, more, min, max), ']');
  }

  // `max` is not 0. Built from the end: what may come behind the first, behind the second, …
  PartId items(std::vector<PartId> first, PartId more, int min, int max) {
    if (first.empty()) first.push_back(more);
    const auto listed = static_cast<int>(first.size());
    PartId rest = rules_.literal("");
    if (max < 0 || max > listed) {
      rest = rules_.repeat(rules_.sequence({json_.comma(), more}), std::max(0, min - listed),
                           max < 0 ? -1 : max - listed);
    }
    for (int i = max < 0 ? listed - 1 : std::min(listed, max) - 1; i >= 0; --i) {
      const PartId one = first[static_cast<std::size_t>(i)];
      rest = i == 0 ? rules_.sequence({one, rest}) : rules_.sequence({json_.comma(), one, rest});
      if (i >= min) rest = rules_.optional(rest);
    }
    return rest;
  }

  struct Property {
    PartId member;  // its name, a colon and the value
    bool is_required;
  };

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

    std::vector<Property> members;
    std::vector<std::string> names;
    for (const auto& [name, value] : properties.items()) {
      const bool is_required = std::ranges::count(required, name) > 0;
      if (value == SchemaJson(false) && !is_required) continue;  // it is never there
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
      if (names.empty() && additional == SchemaJson(true)) return json_.object();
      const PartId key = names.empty() ? json_.string() : json_.key_other_than(names);
      other = rules_.sequence(
          {key, json_.colon(), item(additional, at_key(where, "additionalProperties"), nesting)});
    }
    return json_.between('{', inside_object(members, other), '}');
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

  Property property(const std::string& name, const SchemaJson& value, const std::string& where, int nesting,
                    bool is_required) {
    const PartId key = rules_.literal(dumped(name));
    return {rules_.sequence({key, json_.colon(), schema(value, where, nesting + 1)}), is_required};
  }

  // Members in their order; one that is not required may be left out. Each is a rule where it is written down twice:
  // as the first, without a comma, and behind others.
  PartId inside_object(std::vector<Property> members, std::optional<PartId> other) {
    const auto is_required = [](const Property& member) { return member.is_required; };
    const bool begins_with_first = !members.empty() && members[0].is_required;
    const auto declare = [&](PartId part) {
      const RuleId rule = rules_.declare(fmt::format("members-{}", rules_.size()));
      rules_.define(rule, part);
      return rules_.call(rule);
    };
    if (!begins_with_first) {
      for (Property& member : members) member.member = declare(member.member);
      if (other) other = declare(*other);
    }
    const auto behind_comma = [&](PartId part) { return rules_.sequence({json_.comma(), part}); };
    // What may come behind the last, behind the one before, …
    PartId rest = other ? rules_.repeat(behind_comma(*other), 0, -1) : rules_.literal("");
    std::vector<PartId> ways;  // to begin
    if (other && std::ranges::none_of(members, is_required)) ways.push_back(rules_.sequence({*other, rest}));
    const auto last_first = std::ranges::find_if(members, is_required) - members.begin();
    for (auto i = static_cast<std::ptrdiff_t>(members.size()) - 1; i >= 0; --i) {
      const Property& member = members[static_cast<std::size_t>(i)];
      if (i <= last_first) ways.push_back(rules_.sequence({member.member, rest}));
      const PartId behind = behind_comma(member.member);
      rest = rules_.sequence({member.is_required ? behind : rules_.optional(behind), rest});
      if (!begins_with_first && i > 0) rest = declare(rest);
    }
    if (std::ranges::none_of(members, is_required)) ways.push_back(rules_.literal(""));
    return rules_.choice(std::move(ways));
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
