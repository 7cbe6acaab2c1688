#include "runtime/chat/message_values.h"

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "runtime/jinja/json_value.h"

namespace llamajit {
namespace {

constexpr std::string_view kProbeQuestion = "question0615";
constexpr std::string_view kProbeArgument = "argument0615";
// A template that some file brings along must not keep its reader waiting.
constexpr jinja::Limits kProbeLimits{
    .steps = 50'000, .bytes = std::size_t{4} << 20, .work = std::size_t{32} << 20, .output = 256 << 10};

jinja::Value call_value(const ToolCall& call, const CallStyle& style) {
  const std::string& text = call.arguments.empty() ? "{}" : call.arguments;
  jinja::Dict function;
  function.entries = {{"name", call.name},
                      {"arguments", style.text_arguments ? jinja::Value(text) : jinja::json_or_text(text)}};
  jinja::Dict dict;
  dict.entries = {{"type", "function"}, {"id", call.id}, {"function", std::move(function)}};
  return dict;
}

jinja::Value message_value(const Message& message, const CallStyle& style) {
  const bool only_calls = message.content.empty() && !message.tool_calls.empty();
  jinja::Dict dict;
  dict.entries = {{"role", message.role},
                  {"content", only_calls && style.none_content ? jinja::Value(jinja::None{})
                                                               : jinja::Value(message.content)}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty()) dict.set(name, text);
  };
  add("reasoning_content", message.reasoning_content);
  // gpt-oss' template refuses calls with both.
  if (style.thinking && (message.tool_calls.empty() || only_calls))
    add("thinking", message.reasoning_content);
  add("tool_call_id", message.tool_call_id);
  add("name", message.name);
  if (!message.tool_calls.empty()) {
    jinja::List calls;
    for (const ToolCall& call : message.tool_calls) calls.items.push_back(call_value(call, style));
    dict.set("tool_calls", std::move(calls));
  }
  return dict;
}

std::vector<Message> probe_conversation() {
  const std::string id = "probe0615";
  Message call{"assistant", ""};
  call.tool_calls = {{id, std::string(kProbeTool), fmt::format(R"({{"{}": "x"}})", kProbeArgument)}};
  Message result{"tool", "7"};
  result.tool_call_id = id;
  result.name = kProbeTool;
  return {{"user", std::string(kProbeQuestion)}, std::move(call), std::move(result)};
}

jinja::Value probe_tools() {
  const std::string text = fmt::format(
      R"([{{"type": "function", "function": {{"name": "{}", "description": "d", "parameters": {{"type": "object",)"
      R"( "properties": {{"{}": {{"type": "string", "description": "d"}}}}, "required": ["{}"]}}}}}}])",
      kProbeTool, kProbeArgument, kProbeArgument);
  return jinja::parse_json(text, "tools");
}

// What comes behind the question; empty where the template refuses.
std::string rendered_probe(const jinja::Template& compiled, const CallStyle& style) {
  jinja::Dict variables;
  variables.entries = {{"messages", message_values(probe_conversation(), style)},
                       {"tools", probe_tools()},
                       {"documents", jinja::None{}},
                       {"bos_token", ""},
                       {"eos_token", ""},
                       {"add_generation_prompt", true}};
  try {
    const std::string text = compiled.render(variables, kProbeLimits);
    const std::size_t question = text.find(kProbeQuestion);
    return question == std::string::npos ? "" : text.substr(question + kProbeQuestion.size());
  } catch (const std::runtime_error&) {
    return {};
  }
}

// Whether the call is to be seen, its arguments as JSON or as tags, and nothing as Python prints it.
bool shows_call(std::string_view text) {
  const auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  return has(kProbeTool) && has(kProbeArgument) && !has(fmt::format("'{}'", kProbeArgument)) &&
         !has("None") && !has(R"(\")");  // text that became JSON once more
}

}  // namespace

CallProbe probe_calls(const jinja::Template& compiled, std::string_view source) {
  CallProbe usual;
  usual.style.thinking = source.find("message.thinking") != std::string_view::npos;
  if (source.find("tool_calls") == std::string_view::npos) return usual;
  for (const bool text_arguments : {false, true}) {
    for (const bool none_content : {false, true}) {
      const CallStyle style{text_arguments, none_content, usual.style.thinking};
      std::string text = rendered_probe(compiled, style);
      if (shows_call(text)) return {style, std::move(text)};
      if (usual.text.empty()) usual.text = std::move(text);
    }
  }
  return usual;
}

jinja::Value message_values(std::span<const Message> messages, const CallStyle& style) {
  jinja::List list;
  for (const Message& message : messages) list.items.push_back(message_value(message, style));
  return list;
}

}  // namespace llamajit
