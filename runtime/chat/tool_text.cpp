#include "runtime/chat/tool_text.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace llamajit {
namespace {

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string description(std::span<const std::string> tools) {
  std::string text =
      "You may call functions to help with the user's request. These are their signatures:\n<tools>";
  for (const std::string& tool : tools) text += "\n" + tool;
  return text +
         "\n</tools>\n\nTo call a function, write a JSON object with its name and its arguments within "
         "<tool_call></tool_call>, and nothing behind it:\n<tool_call>\n{\"name\": <function-name>, "
         "\"arguments\": <args-json-object>}\n</tool_call>\nFor several calls, write one "
         "<tool_call></tool_call> "
         "after another. The results come within <tool_response></tool_response>.";
}

Message with_written_calls(const Message& message) {
  Message plain{message.role, message.content};
  plain.reasoning_content = message.reasoning_content;
  for (const ToolCall& call : message.tool_calls) {
    if (!plain.content.empty()) plain.content += '\n';
    plain.content += fmt::format("<tool_call>\n{{\"name\": {}, \"arguments\": {}}}\n</tool_call>",
                                 json_string(call.name), call.arguments.empty() ? "{}" : call.arguments);
  }
  return plain;
}

}  // namespace

std::vector<Message> with_described_tools(std::span<const Message> messages,
                                          std::span<const std::string> tools) {
  std::vector<Message> plain;
  bool after_result = false;
  for (const Message& message : messages) {
    const bool is_result = message.role == "tool";
    if (is_result) {
      const std::string text = fmt::format("<tool_response>\n{}\n</tool_response>", message.content);
      if (after_result) {
        plain.back().content += "\n" + text;
      } else {
        plain.push_back({"user", text});
      }
    } else {
      plain.push_back(with_written_calls(message));
    }
    after_result = is_result;
  }
  if (tools.empty()) return plain;
  const bool has_system = !plain.empty() && plain.front().role == "system";
  if (!has_system) plain.insert(plain.begin(), {"system", ""});
  std::string& system = plain.front().content;
  system += (system.empty() ? "" : "\n\n") + description(tools);
  return plain;
}

}  // namespace llamajit
