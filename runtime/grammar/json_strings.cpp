#include "runtime/grammar/json_strings.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/grammar/json_formats.h"
#include "runtime/grammar/json_scalars.h"
#include "runtime/grammar/pattern.h"
#include "runtime/grammar/rule_automaton.h"

namespace llamajit {
namespace {

// The strings of each form that a schema wants.
class StringForms {
 public:
  StringForms(JsonRules& json, const SchemaJson& schema, const std::string& where)
      : json_(json), schema_(schema), where_(where) {}

  PartId string() {
    add_length();
    const SchemaJson none = SchemaJson::array();
    const SchemaJson& more = schema_.contains(kMoreForms) ? schema_[kMoreForms] : none;
    has_pattern_ = schema_.contains("pattern") ||
                   std::ranges::any_of(more, [](const SchemaJson& form) { return form.contains("pattern"); });
    add_form(schema_);
    for (const SchemaJson& form : more) add_form(form);
    if (strings_.empty()) return json_.string();
    if (strings_.size() == 1) return strings_[0];
    const auto all = json_.text_of(names_, [&] { return in_all(); });
    if (!all)
      refuse_schema(where_, "a string that its pattern, format, encoding and length allow at once", "none");
    return *all;
  }

 private:
  void add(const std::string& name, PartId string) {
    strings_.push_back(string);
    names_ += fmt::format("{}:{} ", name.size(), name);
  }

  RuleAutomaton in_all() {
    GrammarRules& rules = json_.rules();
    RuleAutomaton all = AutomatonBuilder::written_out(rules, strings_[0]);
    for (std::size_t i = 1; i < strings_.size() && !all.empty(); ++i)
      all = intersection(all, AutomatonBuilder::written_out(rules, strings_[i]), rules.work());
    return all;
  }

  void add_length() {
    if (!schema_.contains("minLength") && !schema_.contains("maxLength")) return;
    const auto counts = counts_of(schema_, where_, "minLength", "maxLength");
    const std::string name = fmt::format("length {} {}", counts.first, counts.second);
    add(name, json_.string_of(name, [&] {
      return json_.rules().repeat(json_.short_character(), counts.first, counts.second);
    }));
  }

  void add_form(const SchemaJson& schema) {
    if (schema.contains("pattern")) add_pattern(schema["pattern"], at_key(where_, "pattern"));
    if (schema.contains("format")) add_format(schema["format"], at_key(where_, "format"));
    if (schema.contains("contentEncoding"))
      add_encoding(schema["contentEncoding"], at_key(where_, "contentEncoding"));
  }

  void add_pattern(const SchemaJson& value, const std::string& where) {
    if (!value.is_string()) refuse_schema(where, "a string", dumped(value));
    try {
      add_text(value.get<std::string>());
    } catch (const PatternError& error) {
      throw std::runtime_error(fmt::format("{}: {}", where, error.what()));
    }
  }

  void add_text(const std::string& pattern) {
    const std::string name = "pattern " + pattern;
    add(name, json_.string_of(name, [&] { return json_pattern(json_, pattern); }));
  }

  void add_format(const SchemaJson& value, const std::string& where) {
    const std::string format = value.is_string() ? value.get<std::string>() : "";
    if (const auto pattern = pattern_of_format(format)) return add_text(*pattern);
    if (has_pattern_ && value.is_string() && !is_format_of_drafts(format)) return;
    refuse_schema(where, "date, time, date-time, duration, uuid, email, hostname, ipv4, ipv6 or uri",
                  dumped(value));
  }

  void add_encoding(const SchemaJson& value, const std::string& where) {
    const auto pattern = pattern_of_encoding(value.is_string() ? value.get<std::string>() : "");
    if (!pattern) refuse_schema(where, "base64, base64url or base16", dumped(value));
    add_text(*pattern);
  }

  JsonRules& json_;
  const SchemaJson& schema_;
  const std::string& where_;
  bool has_pattern_ = false;
  std::vector<PartId> strings_;
  std::string names_;
};

}  // namespace

PartId string_by_schema(JsonRules& json, const SchemaJson& schema, const std::string& where) {
  return StringForms(json, schema, where).string();
}

}  // namespace llamajit
