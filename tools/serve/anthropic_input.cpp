#include "tools/serve/anthropic_input.h"

#include <utility>

#include <fmt/format.h>

#include "tools/serve/messages.h"

namespace llamajit::serve {
namespace {

// Calls `read` with each block of a content; a text is a block of text.
template <class Read>
void for_each_block(const Fields& fields, const char* name, Read&& read) {
  const Json& content = fields.at(name);
  if (content.is_string()) {
    const Json block = {{"type", "text"}, {"text", content}};
    return read(Fields(block, fields.path_of(name)));
  }
  if (!content.is_array()) fields.fail(name, "a text or a list of blocks", content);
  for (std::size_t i = 0; i < content.size(); ++i) {
    read(Fields(content[i], fmt::format("{}[{}]", fields.path_of(name), i)));
  }
}

// Turns of one role that follow each other are one, as templates want them to alternate.
class TurnReader {
 public:
  void read_system(const std::string& text) {
    if (!text.empty()) messages_.push_back({{"role", "system"}, {"content", text}});
  }
  void read(const Fields& turn) {
    const std::string role = turn.required_text("role");
    if (role != "user" && role != "assistant") turn.fail("role", "user or assistant", turn.at("role"));
    begins_ = true;
    for_each_block(turn, "content",
                   [&](const Fields& block) { role == "user" ? read_users(block) : read_assistants(block); });
  }
  Json messages() && { return std::move(messages_); }

 private:
  void read_users(const Fields& block) {
    const std::string type = block.required_text("type");
    if (type == "text") return add_text("user", block.required_text("text"));
    if (type != "tool_result") block.fail("type", "text or tool_result", block.at("type"));
    messages_.push_back({{"role", "tool"},
                         {"tool_call_id", block.required_text("tool_use_id")},
                         {"content", read_content(block, "content")}});
  }

  void read_assistants(const Fields& block) {
    const std::string type = block.required_text("type");
    if (type == "text") return add_text("assistant", block.required_text("text"));
    if (type == "thinking") {
      Json& turn = last("assistant");
      turn["reasoning_content"] =
          turn.value("reasoning_content", std::string()) + block.required_text("thinking");
      return;
    }
    if (type == "redacted_thinking") return;  // only who wrote it can read it
    if (type != "tool_use") block.fail("type", "text, thinking or tool_use", block.at("type"));
    const auto input = block.object("input");
    last("assistant")["tool_calls"].push_back({{"id", block.required_text("id")},
                                               {"type", "function"},
                                               {"function",
                                                {{"name", block.required_text("name")},
                                                 {"arguments", input ? text_of(block.at("input")) : "{}"}}}});
  }

  void add_text(const char* role, const std::string& text) {
    Json& turn = last(role);
    std::string content = turn.value("content", std::string());
    if (std::exchange(begins_, false) && !content.empty()) content += "\n\n";
    turn["content"] = content + text;
  }

  Json& last(const char* role) {
    if (messages_.empty() || messages_.back()["role"] != role) {
      messages_.push_back({{"role", role}, {"content", ""}});
    }
    return messages_.back();
  }

  Json messages_ = Json::array();
  bool begins_ = false;  // nothing was read yet of the turn's text
};

Json read_turns(const Fields& fields) {
  TurnReader reader;
  reader.read_system(read_content(fields, "system"));
  fields.at("messages");
  const Json& list = *fields.list("messages");
  if (list.empty()) fields.fail("messages", "one message at least", Json("none"));
  for (std::size_t i = 0; i < list.size(); ++i) reader.read(Fields(list[i], fmt::format("messages[{}]", i)));
  Json messages = std::move(reader).messages();
  if (messages.empty() || messages.back()["role"] == "assistant") {
    fields.fail("messages", "a user's message as the last one, as no answer is gone on with",
                Json("assistant"));
  }
  return messages;
}

// {name, description, input_schema, strict} becomes {type, function: {name, description, parameters, strict}}.
Json read_tools(const Fields& fields) {
  constexpr std::pair<const char*, const char*> kMembers[] = {
      {"description", "description"}, {"input_schema", "parameters"}, {"strict", "strict"}};
  Json tools = Json::array();
  const Json* const list = fields.list("tools");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const Fields tool((*list)[i], fmt::format("tools[{}]", i));
    if (tool.text("type").value_or("custom") != "custom") {
      tool.fail("type", "\"custom\": nothing is run here", tool.at("type"));
    }
    Json function = {{"name", tool.required_text("name")}};
    for (const auto& [theirs, ours] : kMembers) {
      if (const Json* const value = tool.find(theirs)) function[ours] = *value;
    }
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return tools;
}

Json read_tool_choice(const Fields& choice) {
  const std::string type = choice.required_text("type");
  if (type == "any") return "required";
  if (type == "tool") return {{"type", "function"}, {"function", {{"name", choice.required_text("name")}}}};
  if (type != "auto" && type != "none") choice.fail("type", "auto, any, tool or none", choice.at("type"));
  return type;
}

// A schema that the answer is held to, and how much is to be thought.
void read_output(const Fields& fields, Json& conversation) {
  const auto config = fields.object("output_config");
  if (const auto effort = config ? config->text("effort") : std::nullopt) {
    conversation["reasoning_effort"] = *effort == "max" || *effort == "xhigh" ? "high" : *effort;
  }
  const bool has_format = config && config->has("format");
  const auto format = has_format ? config->object("format") : fields.object("output_format");
  if (!format) return;
  if (format->required_text("type") != "json_schema") {
    format->fail("type", "\"json_schema\"", format->at("type"));
  }
  conversation["response_format"] = {{"type", "json_schema"},
                                     {"json_schema", {{"name", "answer"}, {"schema", format->at("schema")}}}};
}

// Nothing is thought unless it is asked for.
bool thinks(const Fields& fields) {
  const auto thinking = fields.object("thinking");
  if (!thinking) return false;
  const std::string type = thinking->required_text("type");
  if (type != "enabled" && type != "adaptive" && type != "disabled") {
    thinking->fail("type", "enabled, adaptive or disabled", thinking->at("type"));
  }
  return type != "disabled";
}

}  // namespace

Json anthropic_conversation(const Fields& fields) {
  Json conversation = {{"messages", read_turns(fields)}};
  if (Json tools = read_tools(fields); !tools.empty()) conversation["tools"] = std::move(tools);
  if (const auto choice = fields.object("tool_choice")) {
    conversation["tool_choice"] = read_tool_choice(*choice);
  }
  read_output(fields, conversation);
  conversation["chat_template_kwargs"] = {{"enable_thinking", thinks(fields)}};
  return conversation;
}

FormMembers anthropic_form_members(const Fields& fields) {
  const auto config = fields.object("output_config");
  const std::string form = config && config->has("format") ? "output_config.format" : "output_format";
  return {.form = form, .schema = form + ".schema"};
}

}  // namespace llamajit::serve
