#include "runtime/chat/tool_schemas.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/chat/json_scanner.h"
#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

using SchemaJson = nlohmann::json;

constexpr int kDeepestChoice = 8;  // anyOf within anyOf

// The types that a schema lets a value have.
struct Types {
  bool text = false;
  bool null = false;
  bool other = false;

  void add(const SchemaJson& name) { (name == "string" ? text : name == "null" ? null : other) = true; }
  void add_value(const SchemaJson& value) {
    (value.is_string() ? text : value.is_null() ? null : other) = true;
  }
};

void collect_types(const SchemaJson& schema, Types& types, int depth) {
  if (!schema.is_object() || depth > kDeepestChoice) return;
  const auto each = [&](const char* key, const auto& use) {
    const auto found = schema.find(key);
    if (found == schema.end()) return;
    if (!found->is_array()) return use(*found);
    for (const SchemaJson& item : *found) use(item);
  };
  each("type", [&](const SchemaJson& name) { types.add(name); });
  each("enum", [&](const SchemaJson& value) { types.add_value(value); });
  if (const auto value = schema.find("const"); value != schema.end()) types.add_value(*value);
  for (const char* choice : {"anyOf", "oneOf", "allOf"}) {
    each(choice, [&](const SchemaJson& part) { collect_types(part, types, depth + 1); });
  }
}

std::string quoted(std::string_view text) {
  return fmt::format(R"("{}")", json_escaped(text));
}

// The text as JSON that is fit for arguments; nothing where it is none.
std::optional<std::string> as_json(std::string_view text) {
  if (!text.starts_with('{') && !text.starts_with('[')) {
    return SchemaJson::accept(text) ? std::optional(std::string(text)) : std::nullopt;
  }
  JsonScanner scanner;
  std::string json;
  for (const char c : text) {
    append_json_byte(json, c, scanner.in_string());
    if (!scanner.feed(c)) return std::nullopt;
  }
  return scanner.is_done() ? std::optional(json) : std::nullopt;
}

}  // namespace

ToolSchemas::Kind ToolSchemas::kind_of(bool text, bool null, bool other) {
  if (text) return null ? Kind::text_or_null : Kind::text;
  return null || other ? Kind::json : Kind::unknown;
}

ToolSchemas::ToolSchemas(std::span<const Tool> tools) {
  for (const Tool& tool : tools) {
    auto& kinds = tools_[tool.name];
    const SchemaJson schema = SchemaJson::parse(tool.parameters, nullptr, false);
    if (!schema.is_object() || !schema.contains("properties") || !schema["properties"].is_object()) continue;
    for (const auto& [name, property] : schema["properties"].items()) {
      Types types;
      collect_types(property, types, 0);
      kinds[name] = kind_of(types.text, types.null, types.other);
    }
  }
}

ToolSchemas::Kind ToolSchemas::kind(const std::string& tool, const std::string& parameter) const {
  const auto kinds = tools_.find(tool);
  if (kinds == tools_.end()) return Kind::unknown;
  const auto found = kinds->second.find(parameter);
  return found == kinds->second.end() ? Kind::unknown : found->second;
}

bool ToolSchemas::is_text(const std::string& tool, const std::string& parameter) const {
  return kind(tool, parameter) == Kind::text;
}

std::string ToolSchemas::value(const std::string& tool, const std::string& parameter,
                               std::string_view written) const {
  const std::string_view trimmed = without_trailing_space(without_leading_space(written));
  switch (kind(tool, parameter)) {
    case Kind::text:
      return quoted(written);
    case Kind::text_or_null:
      return trimmed == "null" || trimmed == "None" ? "null" : quoted(written);
    default:
      if (trimmed == "True") return "true";
      if (trimmed == "False") return "false";
      if (trimmed == "None") return "null";
      return as_json(trimmed).value_or(quoted(written));
  }
}

}  // namespace llamajit
