#include "tools/serve/conversation_prompt.h"

#include <utility>

#include <fmt/format.h>

#include "runtime/base/fnv.h"
#include "runtime/chat/tool_text.h"
#include "runtime/jinja/json_value.h"
#include "tools/serve/api_error.h"
#include "tools/serve/generation_fields.h"
#include "tools/serve/messages.h"
#include "tools/serve/reply_form.h"
#include "tools/serve/tools.h"

namespace llamajit::serve {
namespace {

// What the template is to see beside the messages.
jinja::Dict read_variables(const Fields& fields) {
  jinja::Dict variables;
  const auto define = [&](const std::string& name, const Json& value) {
    variables.set(name, jinja::parse_json(text_of(value), name));
  };
  if (const auto effort = fields.text("reasoning_effort")) define("reasoning_effort", *effort);
  if (!fields.object("chat_template_kwargs")) return variables;
  for (const auto& [name, value] : fields.at("chat_template_kwargs").items()) {
    if (name == "messages" || name == "tools") {
      fields.object("chat_template_kwargs")->fail(name, "other names", Json(name));
    }
    define(name, value);
  }
  return variables;
}

// A template that knows nothing of tools is given them as part of the system message.
std::string rendered(const Service& service, std::vector<Message> messages, const OfferedTools& offered,
                     jinja::Dict variables, const std::atomic<bool>& gone) {
  if (service.tool_form.in_template) {
    if (!offered.list.empty()) variables.set("tools", jinja::parse_json(text_of(offered.list), "tools"));
  } else {
    std::vector<std::string> described;
    for (const Json& tool : offered.list) described.push_back(text_of(tool));
    messages = with_described_tools(messages, described);
  }
  try {
    return render_chat(service.chat_template, messages, service.tokenizer, variables, &gone);
  } catch (const std::exception& error) {
    throw ApiError(400, error.what(), "messages");
  }
}

std::string_view words_before_call(CallSyntax calls) {
  switch (calls) {
    case CallSyntax::hermes:
    case CallSyntax::xml:
      return "<tool_call>\n";
    case CallSyntax::mistral_list:
    case CallSyntax::mistral_args:
    case CallSyntax::mistral_name:
      return "[TOOL_CALLS]";
    case CallSyntax::llama:
    case CallSyntax::channels:
      return "";
  }
  return "";
}

// Whatever the model's own form is, JSON with name and arguments is what the grammar lets through.
void demand_call(ConversationPrompt& prompt, const OfferedTools& offered, Service& service) {
  try {
    prompt.form = schema_form(call_schema(offered), "tools", service);
  } catch (const ApiError& error) {
    throw ApiError(error.status, of_its_tool(error.what(), offered), "tools");
  }
  prompt.text += words_before_call(service.tool_form.calls);
  prompt.reading.parser.form = {.calls = CallSyntax::hermes};
  prompt.reading.before = "<tool_call>\n";
  prompt.reading.behind = "\n</tool_call>";
}

}  // namespace

ConversationPrompt read_conversation(const Fields& fields, Service& service, const std::atomic<bool>& gone,
                                     const FormMembers& members) {
  check_writes_text(service);
  ConversationPrompt prompt;
  const OfferedTools offered = read_offered_tools(fields);
  prompt.form = read_form(fields, service, members);
  if (prompt.form && offered.must_call) {
    throw ApiError(400, members.form + ": expected none beside a tool that must be called", members.form);
  }
  prompt.text = rendered(service, read_messages(fields, "messages"), offered, read_variables(fields), gone);
  ReplyReading& reading = prompt.reading;
  reading.form = service.tool_form;
  reading.parser = {.form = service.tool_form,
                    .tools = offered.tools,
                    .in_reasoning = begins_in_reasoning(service.tool_form, prompt.text)};
  reading.call_seed = fnv1a(prompt.text);
  const bool has_form = prompt.form != nullptr || offered.must_call;
  if (has_form && std::exchange(reading.parser.in_reasoning, false)) {
    prompt.text += fmt::format("\n{}\n\n", reasoning_markers(service.tool_form.reasoning).back());
  }
  if (offered.must_call) demand_call(prompt, offered, service);
  prompt.tokens = encode_rendered_chat(prompt.text, service.tokenizer);
  if (prompt.tokens.empty()) throw ApiError(400, "messages: expected text, found none", "messages");
  return prompt;
}

}  // namespace llamajit::serve
