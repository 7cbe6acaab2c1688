// POST /api/chat and /api/generate: https://github.com/ollama/ollama/blob/main/docs/api.md
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/conversation_answer.h"
#include "tools/serve/ollama_format.h"
#include "tools/serve/ollama_request.h"
#include "tools/serve/token_lists.h"

namespace llamajit::serve {
namespace {

std::unique_ptr<OllamaFormat> format_of(const OllamaRequest& request, bool chat) {
  return std::make_unique<OllamaFormat>(
      OllamaOptions{.model = request.model, .chat = chat, .shows_thinking = request.shows_thinking});
}

// Without anything to answer the model is only to be loaded, which it is. One line, also where a stream was asked for.
void answer_load(const OllamaFormat& format, const Exchange& exchange) {
  HttpReply reply{200, "application/json", text_of(format.load()) + '\n', {}};
  exchange->post([exchange, reply = std::move(reply)]() mutable { exchange->send(std::move(reply)); });
}

void refuse_what_ollama_has(const Fields& fields) {
  const auto refuse_text = [&](const char* name, const char* why) {
    if (!fields.text(name).value_or("").empty()) fields.fail(name, why, fields.at(name));
  };
  refuse_text("suffix", "none: text is not filled in here");
  refuse_text("template", "none: the server's, which is Jinja, is used");
  const auto refuse_list = [&](const char* name, const char* why) {
    const Json* const list = fields.list(name);
    if (list != nullptr && !list->empty()) fields.fail(name, why, *list);
  };
  refuse_list("images", "none: no model here takes pictures");
  // No answer here had one, and /api/chat does what it was for.
  refuse_list("context", "none: conversations are for /api/chat");
}

void generate_raw(Service& service, const ApiRequest& request, const Fields& fields,
                  const OllamaRequest& asked, const std::string& prompt, Exchange exchange) {
  if (fields.text("system") && !fields.text("system")->empty()) {
    fields.fail("system", "none beside raw", fields.at("system"));
  }
  Json conversation = Json::object();
  add_ollama_form(fields, conversation);
  if (conversation.contains("response_format")) {
    fields.fail("format", "none beside raw", fields.at("format"));
  }
  GenerationAnswer answer;
  answer.streams = asked.settings.streams;
  answer.format = format_of(asked, false);
  add_choices(answer.choices, asked.settings, encode_text(service, prompt, true, true), service,
              request.share);
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace

void ollama_chat(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  const Fields fields(body);
  OllamaRequest asked = read_ollama_request(fields, service);
  std::unique_ptr<OllamaFormat> format = format_of(asked, true);
  Json conversation = {{"messages", fields.has("messages") ? ollama_messages(fields) : Json::array()}};
  if (conversation["messages"].empty()) return answer_load(*format, exchange);
  add_ollama_form(fields, conversation);
  if (const Json* const tools = fields.list("tools")) conversation["tools"] = *tools;
  answer_conversation(service, request, conversation, std::move(asked.settings), std::move(format),
                      std::move(exchange));
}

void ollama_generate(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  const Fields fields(body);
  OllamaRequest asked = read_ollama_request(fields, service);
  refuse_what_ollama_has(fields);
  std::unique_ptr<OllamaFormat> format = format_of(asked, false);
  const std::string prompt = fields.text("prompt").value_or("");
  if (prompt.empty()) return answer_load(*format, exchange);
  if (fields.boolean("raw").value_or(false)) {
    return generate_raw(service, request, fields, asked, prompt, std::move(exchange));
  }
  Json messages = Json::array();
  const std::string system = fields.text("system").value_or("");
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  Json conversation = {{"messages", std::move(messages)}};
  add_ollama_form(fields, conversation);
  answer_conversation(service, request, conversation, std::move(asked.settings), std::move(format),
                      std::move(exchange));
}

}  // namespace llamajit::serve
