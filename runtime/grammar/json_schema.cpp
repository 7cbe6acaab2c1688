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
#include "runtime/grammar/json_objects.h"
#include "runtime/grammar/json_rules.h"
#include "runtime/grammar/json_scalars.h"
#include "runtime/grammar/json_strings.h"
#include "runtime/grammar/schema.h"
#include "runtime/grammar/schema_resolver.h"
#include "runtime/grammar/schema_text.h"

namespace llamajit {
namespace {

constexpr std::size_t kMaxOneOf = 256;

class SchemaCompiler {
 public:
  SchemaCompiler(const SchemaJson& root, const std::string& name)
      : root_(root),
        rules_(name),
        json_(rules_),
        resolver_(root, check_schema_size(root, name), rules_.work()) {}

  std::shared_ptr<const Grammar> compile() {
    const RuleId root = rules_.declare("root");
    rules_.define(root, schema(root_, rules_.name() + ":", 0));
    // Schemas that others refer to, which refer to others.
    while (!pending_.empty()) {
      const auto [reference, rule] = pending_.front();
      pending_.pop_front();
      rules_.define(rule, schema(resolver_.referred(reference, ""), path_of(reference), 0));
    }
    return compile_grammar(rules_, root);
  }

 private:
  std::string path_of(const std::string& reference) const {
    return reference.size() > 1 ? fmt::format("{}: {}", rules_.name(), reference.substr(1))
                                : rules_.name() + ":";
  }

  PartId schema(const SchemaJson& s, const std::string& where, int nesting) {
    if (nesting > SchemaResolver::kMaxNesting)
      refuse_schema(where, fmt::format("at most {} schemas within one another", SchemaResolver::kMaxNesting),
                    "more");
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

  PartId call_referred(const SchemaJson& s, const std::string& where) {
    const std::string name = reference_of(s, where);
    const auto [entry, is_new] = references_.try_emplace(name, -1);
    if (is_new) {
      resolver_.referred(name, at_key(where, "$ref"));
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
    return schema(resolver_.flattened(s, where, nesting), where, nesting + 1);
  }

  // anyOf and oneOf. What stands beside them holds for each alternative.
  PartId alternatives(const SchemaJson& s, const std::string& where, int nesting) {
    if (s.contains("anyOf") && s.contains("oneOf"))
      refuse_schema(at_key(where, "oneOf"), "one of anyOf and oneOf", "both");
    const std::string keyword = s.contains("anyOf") ? "anyOf" : "oneOf";
    const std::string path = at_key(where, keyword);
    const SchemaJson& branches = list_of(s[keyword], path);
    if (keyword == "oneOf") check_exclusive(branches, path);
    rules_.work().charge(weight_of(s) * 4, kSchemas);
    const SchemaJson beside = without_keywords(s, {keyword});
    std::vector<PartId> ways;
    for (std::size_t i = 0; i < branches.size(); ++i) {
      const std::string branch_path = at_key(path, fmt::to_string(i));
      if (!constrains(beside)) {
        ways.push_back(schema(branches[i], branch_path, nesting + 1));
      } else {
        const SchemaJson branch = resolver_.flattened(branches[i], branch_path, nesting + 1);
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
    for (const SchemaJson& branch : branches)
      plain.push_back(resolver_.flattened(branch, at_key(where, fmt::to_string(plain.size())), 0));
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

  PartId listed(const SchemaJson& s, const std::string& where) {
    std::vector<PartId> ways;
    for (const SchemaJson& value : allowed_values(s, where, rules_.work()))
      ways.push_back(rules_.literal(dumped(value)));
    return rules_.choice(std::move(ways));
  }

  PartId of_type(const std::string& type, const SchemaJson& s, const std::string& where, int nesting) {
    if (type == "object") {
      const SchemaParts parts{
          .value = [&](const SchemaJson& v, const std::string& w) { return schema(v, w, nesting + 1); },
          .repeated = [&](const SchemaJson& v, const std::string& w) { return item(v, w, nesting); }};
      return object_by_schema(json_, resolver_, parts, s, where, nesting);
    }
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
      const SchemaJson& schemas = list_of(s["prefixItems"], path);
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

  const SchemaJson& root_;
  GrammarRules rules_;
  JsonRules json_;
  SchemaResolver resolver_;
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
