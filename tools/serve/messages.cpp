#include "tools/serve/messages.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tools/serve/api_error.h"

namespace llamajit::serve {
namespace {

constexpr std::array<std::string_view, 5> kRoles{"system", "developer", "user", "assistant", "tool"};

std::string text_of_part(const Fields& message, const char* name, const Json& part, std::size_t index) {
  if (part.is_string()) return part.get<std::string>();
  const Fields fields(part, fmt::format("{}[{}]", message.path_of(name), index));
  const std::string type = fields.required_text("type");
  if (type == "refusal") return fields.required_text("refusal");
  const bool is_text = type == "text" || type == "input_text" || type == "output_text";
  if (!is_text) fields.fail("type", "\"text\"", fields.at("type"));
  return fields.required_text("text");
}

std::vector<ToolCall> read_calls(const Fields& message) {
  std::vector<ToolCall> calls;
  const Json* const list = message.list("tool_calls");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Fields call((*list)[i], fmt::format("{}[{}]", message.path_of("tool_calls"), i));
    call.at("function");
    const Fields function = *call.object("function");
    const Json* const arguments = function.find("arguments");
    calls.push_back(
        {.id = call.text("id").value_or(""), .name = function.required_text("name"), .arguments = ""});
    if (arguments != nullptr) {
      calls.back().arguments = arguments->is_string() ? arguments->get<std::string>() : text_of(*arguments);
    }
  }
  return calls;
}

}  // namespace

std::string read_content(const Fields& message, const char* name) {
  const Json* const content = message.find(name);
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) message.fail(name, "a text or a list of parts", *content);
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) text += text_of_part(message, name, (*content)[i], i);
  return text;
}

std::vector<Message> read_messages(const Fields& fields, const char* name) {
  fields.at(name);
  const Json& list = *fields.list(name);
  if (list.empty()) fields.fail(name, "one message at least", Json("none"));
  std::vector<Message> messages;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Fields message(list[i], fmt::format("{}[{}]", fields.path_of(name), i));
    Message read;
    read.role = message.required_text("role");
    if (std::ranges::count(kRoles, std::string_view(read.role)) == 0) {
      message.fail("role", "system, developer, user, assistant or tool", message.at("role"));
    }
    if (read.role == "developer") read.role = "system";
    read.content = read_content(message, "content");
    read.reasoning_content = message.text("reasoning_content").value_or("");
    read.tool_call_id = message.text("tool_call_id").value_or("");
    read.name = message.text("name").value_or("");
    if (read.role == "assistant") read.tool_calls = read_calls(message);
    messages.push_back(std::move(read));
  }
  return messages;
}

}  // namespace llamajit::serve
