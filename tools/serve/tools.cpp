#include "tools/serve/tools.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "tools/serve/api_error.h"

namespace llamajit::serve {
namespace {

constexpr std::size_t kMostTools = 256;
constexpr std::size_t kLongestName = 128;

Tool read_tool(const Fields& tool) {
  const std::string type = tool.text("type").value_or("function");
  if (type != "function") tool.fail("type", "\"function\"", tool.at("type"));
  tool.at("function");
  const Fields function = *tool.object("function");
  Tool read{function.required_text("name"), ""};
  if (read.name.empty() || read.name.size() > kLongestName) {
    function.fail("name", fmt::format("1 to {} bytes", kLongestName), function.at("name"));
  }
  if (function.object("parameters")) read.parameters = text_of(function.at("parameters"));
  return read;
}

// "auto", "none", "required", or {"type": "function", "function": {"name": …}}.
void read_choice(const Fields& fields, OfferedTools& offered) {
  const Json* const choice = fields.find("tool_choice");
  if (choice == nullptr || *choice == "auto") return;
  if (*choice == "none") {
    offered = {};
    return;
  }
  offered.must_call = true;
  if (*choice != "required") {
    if (!choice->is_object()) fields.fail("tool_choice", "auto, none, required or a function", *choice);
    const auto function = Fields(*choice, "tool_choice").object("function");
    if (!function) fields.fail("tool_choice", "a function with a name", *choice);
    offered.only = function->required_text("name");
  }
  const bool known = offered.only ? std::ranges::count(offered.tools, *offered.only, &Tool::name) > 0
                                  : !offered.tools.empty();
  if (!known) fields.fail("tool_choice", "one of tools", *choice);
}

// Definitions that a schema refers to from its root stand at the root of the whole, under names of their own.
void hoist_definitions(Json& schema, const std::string& prefix, Json& definitions) {
  const auto rename = [&](auto& self, Json& value) -> void {
    if (value.is_array() || value.is_object()) {
      for (Json& member : value) self(self, member);
    }
    if (!value.is_object() || !value.contains("$ref") || !value["$ref"].is_string()) return;
    std::string reference = value["$ref"].get<std::string>();
    for (const std::string_view from : {"#/$defs/", "#/definitions/"}) {
      if (reference.starts_with(from)) value["$ref"] = "#/$defs/" + prefix + reference.substr(from.size());
    }
  };
  rename(rename, schema);
  for (const char* name : {"$defs", "definitions"}) {
    if (!schema.is_object() || !schema.contains(name) || !schema[name].is_object()) continue;
    for (const auto& [key, value] : schema[name].items()) definitions[prefix + key] = value;
    schema.erase(name);
  }
  if (schema.is_object()) schema.erase("$schema");
}

bool take(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text.remove_prefix(beginning.size());
  return true;
}

std::size_t take_number(std::string_view& text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// Those that may be called, in the order of call_schema().
std::vector<std::size_t> callable_tools(const OfferedTools& offered) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < offered.tools.size(); ++i) {
    if (!offered.only || offered.tools[i].name == *offered.only) indices.push_back(i);
  }
  return indices;
}

}  // namespace

OfferedTools read_offered_tools(const Fields& fields) {
  OfferedTools offered;
  const Json* const list = fields.list("tools");
  if (list != nullptr) {
    if (list->size() > kMostTools) {
      fields.fail("tools", fmt::format("at most {}", kMostTools), Json(list->size()));
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      offered.tools.push_back(
          read_tool(Fields((*list)[i], fmt::format("{}[{}]", fields.path_of("tools"), i))));
    }
    offered.list = *list;
  }
  read_choice(fields, offered);
  return offered;
}

Json call_schema(const OfferedTools& offered) {
  Json calls = Json::array(), definitions = Json::object();
  for (const std::size_t i : callable_tools(offered)) {
    const Tool& tool = offered.tools[i];
    Json parameters = tool.parameters.empty() ? Json::object() : Json::parse(tool.parameters);
    // Arguments are an object, whether the schema says so or not.
    if (parameters.is_object() && !parameters.contains("type")) parameters["type"] = "object";
    hoist_definitions(parameters, fmt::format("tool{}-", i), definitions);
    calls.push_back({{"type", "object"},
                     {"properties", {{"name", {{"const", tool.name}}}, {"arguments", std::move(parameters)}}},
                     {"required", {"name", "arguments"}},
                     {"additionalProperties", false}});
  }
  Json schema = calls.size() == 1 ? calls.front() : Json{{"anyOf", std::move(calls)}};
  if (!definitions.empty()) schema["$defs"] = std::move(definitions);
  return schema;
}

std::string of_its_tool(std::string error, const OfferedTools& offered) {
  std::string_view rest = error, definitions;
  if (!take(rest, "tools: ")) return error;
  std::size_t tool = 0;
  if (take(rest, "/$defs/tool")) {
    tool = take_number(rest);
    take(rest, "-");
    definitions = "/$defs/";
  } else {
    const std::vector<std::size_t> callable = callable_tools(offered);
    const std::size_t call = take(rest, "/anyOf/") ? take_number(rest) : 0;
    if (call >= callable.size() || !take(rest, "/properties/arguments")) return error;
    tool = callable[call];
    take(rest, ": ");  // of the parameters as a whole
  }
  if (tool >= offered.tools.size()) return error;
  return fmt::format("tools[{}] '{}', parameters: {}{}", tool, offered.tools[tool].name, definitions, rest);
}

}  // namespace llamajit::serve
