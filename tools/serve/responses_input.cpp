#include "tools/serve/responses_input.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/messages.h"

namespace llamajit::serve {
namespace {

constexpr std::array<std::string_view, 4> kInputRoles{"system", "developer", "user", "assistant"};

// Makes messages of items. What a model said is one message, whose thoughts come before it and whose calls behind it.
class InputReader {
 public:
  InputReader(const ResponsesItems& items, const std::string& owner) : items_(items), owner_(owner) {}

  void read(const Fields& item) {
    const std::string type = item.text("type").value_or("message");
    if (type == "message") return read_message(item);
    if (type == "function_call") return read_call(item);
    if (type == "function_call_output") return read_output(item);
    if (type == "reasoning") return read_reasoning(item);
    if (type == "item_reference") return read_reference(item);
    item.fail("type", "message, function_call, function_call_output, reasoning or item_reference",
              item.at("type"));
  }
  void add(Json message) { messages_.push_back(std::move(message)); }
  Json messages() && { return std::move(messages_); }

 private:
  void read_message(const Fields& item) {
    const std::string role = item.required_text("role");
    if (std::ranges::count(kInputRoles, std::string_view(role)) == 0) {
      item.fail("role", "system, developer, user or assistant", item.at("role"));
    }
    if (role == "assistant") return set(assistant(), "content", read_content(item, "content"));
    // Templates take one message of this kind, and it is the first: the instructions are in it, too.
    const std::string as = role == "developer" ? "system" : role;
    const std::string content = read_content(item, "content");
    if (as == "system" && messages_.size() == 1 && messages_.front()["role"] == "system") {
      return set(messages_.front(), "content", "\n\n" + content);
    }
    add({{"role", as}, {"content", content}});
  }

  void read_call(const Fields& item) {
    const std::string id = item.required_text("call_id");
    const std::string arguments = item.text("arguments").value_or("");
    assistant()["tool_calls"].push_back(
        {{"id", id},
         {"type", "function"},
         {"function",
          {{"name", item.required_text("name")}, {"arguments", arguments.empty() ? "{}" : arguments}}}});
  }

  void read_output(const Fields& item) {
    item.at("output");
    add({{"role", "tool"},
         {"tool_call_id", item.required_text("call_id")},
         {"content", read_content(item, "output")}});
  }

  // The server's own have the thought in the summary, others in the content.
  void read_reasoning(const Fields& item) {
    std::string thought;
    for (const char* name : {"content", "summary"}) {
      const Json* const parts = item.list(name);
      if (parts == nullptr || !thought.empty()) continue;
      for (std::size_t i = 0; i < parts->size(); ++i) {
        thought +=
            Fields((*parts)[i], fmt::format("{}[{}]", item.path_of(name), i)).text("text").value_or("");
      }
    }
    if (!thought.empty()) set(assistant(), "reasoning_content", thought);
  }

  void read_reference(const Fields& item) {
    const std::optional<Json> kept = items_.find(owner_, item.required_text("id"));
    if (!kept) {
      item.fail("id", "an item that was answered lately, with store on (send the item itself)",
                item.at("id"));
    }
    read(Fields(*kept, item.path_of("id")));
  }

  // The last message, where the model said it.
  Json& assistant() {
    if (messages_.empty() || messages_.back()["role"] != "assistant") {
      add({{"role", "assistant"}, {"content", ""}});
    }
    return messages_.back();
  }
  static void set(Json& message, const char* name, const std::string& more) {
    message[name] = message.value(name, std::string()) + more;
  }

  const ResponsesItems& items_;
  const std::string& owner_;
  Json messages_ = Json::array();
};

Json read_input(const Fields& fields, const ResponsesItems& items, const std::string& owner) {
  InputReader reader(items, owner);
  if (const auto instructions = fields.text("instructions"); instructions && !instructions->empty()) {
    reader.add({{"role", "system"}, {"content", *instructions}});
  }
  const Json& input = fields.at("input");
  if (input.is_string()) {
    reader.add({{"role", "user"}, {"content", input}});
    return std::move(reader).messages();
  }
  if (!input.is_array() || input.empty()) fields.fail("input", "a text or a list of items", input);
  for (std::size_t i = 0; i < input.size(); ++i) reader.read(Fields(input[i], fmt::format("input[{}]", i)));
  return std::move(reader).messages();
}

// {type, name, description, parameters, strict} becomes {type, function: {name, …}}.
Json read_tools(const Fields& fields) {
  Json tools = Json::array();
  const Json* const list = fields.list("tools");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Fields tool((*list)[i], fmt::format("tools[{}]", i));
    if (tool.required_text("type") != "function") {
      tool.fail("type", "\"function\": nothing else is run here", tool.at("type"));
    }
    Json function = {{"name", tool.required_text("name")}};
    for (const char* name : {"description", "parameters", "strict"}) {
      if (const Json* const value = tool.find(name)) function[name] = *value;
    }
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return tools;
}

Json read_tool_choice(const Fields& fields) {
  const Json& choice = fields.at("tool_choice");
  if (choice.is_string()) return choice;
  const Fields named(choice, "tool_choice");
  if (named.required_text("type") != "function") {
    named.fail("type", "\"function\"", named.at("type"));
  }
  return {{"type", "function"}, {"function", {{"name", named.required_text("name")}}}};
}

// {type, name, schema, strict} becomes {type, json_schema: {name, …}}; nothing: answers have no form.
std::optional<Json> read_format(const Fields& fields) {
  const auto text = fields.object("text");
  const auto format = text ? text->object("format") : std::nullopt;
  if (!format) return std::nullopt;
  const std::string type = format->required_text("type");
  if (type == "text") return std::nullopt;
  if (type == "json_object") return Json{{"type", type}};
  if (type != "json_schema") format->fail("type", "text, json_object or json_schema", format->at("type"));
  Json schema = Json::object();
  for (const char* name : {"name", "description", "schema", "strict"}) {
    if (const Json* const value = format->find(name)) schema[name] = *value;
  }
  return Json{{"type", type}, {"json_schema", std::move(schema)}};
}

}  // namespace

Json responses_conversation(const Fields& fields, const ResponsesItems& items, const std::string& owner) {
  Json conversation = {{"messages", read_input(fields, items, owner)}};
  if (Json tools = read_tools(fields); !tools.empty()) conversation["tools"] = std::move(tools);
  if (fields.has("tool_choice")) conversation["tool_choice"] = read_tool_choice(fields);
  if (fields.has("parallel_tool_calls")) {
    conversation["parallel_tool_calls"] = fields.boolean("parallel_tool_calls").value();
  }
  if (auto format = read_format(fields)) conversation["response_format"] = *std::move(format);
  const auto reasoning = fields.object("reasoning");
  const auto effort = reasoning ? reasoning->text("effort") : std::nullopt;
  if (effort) conversation["reasoning_effort"] = *effort;
  return conversation;
}

}  // namespace llamajit::serve
