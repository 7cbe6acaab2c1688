// POST /v1/messages: https://platform.claude.com/docs/en/api/messages/create, and /v1/messages/count_tokens
#include <utility>

#include "tools/serve/anthropic_format.h"
#include "tools/serve/anthropic_input.h"
#include "tools/serve/api_error.h"
#include "tools/serve/conversation_answer.h"
#include "tools/serve/conversation_prompt.h"
#include "tools/serve/replies.h"
#include "tools/serve/reply_header.h"

namespace llamajit::serve {
namespace {

GenerationSettings read_anthropic_settings(const Fields& fields, const Service& service) {
  GenerationSettings settings;
  settings.sampler.temperature = 1;
  read_sampling(fields, service, settings.sampler);
  read_seed(fields, settings);
  fields.at("max_tokens");
  settings.max_tokens = static_cast<int>(*fields.integer("max_tokens", 1, kMostInt));
  settings.stops = read_stops(fields, "stop_sequences");
  settings.streams = fields.boolean("stream").value_or(false);
  return settings;
}

// Of a thread later requests would send the newest messages alone. The code tells clients to send all of them.
void refuse_what_is_kept_elsewhere(const Fields& fields) {
  const Json* const servers = fields.list("mcp_servers");
  if (servers != nullptr && !servers->empty())
    fields.fail("mcp_servers", "none: none is asked here", *servers);
  if (fields.has("thread")) {
    throw ApiError(400, "thread: expected none, as conversations are not stored here; send all messages",
                   "thread", "thread_unsupported_request");
  }
}

}  // namespace

void anthropic_messages(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  refuse_what_is_kept_elsewhere(fields);
  GenerationSettings settings = read_anthropic_settings(fields, service);
  auto format = std::make_unique<AnthropicFormat>(
      AnthropicOptions{.id = "msg_" + random_id(),
                       .model = fields.text("model").value_or(service.model),
                       .stops = settings.stops,
                       .form_members = anthropic_form_members(fields)});
  answer_conversation(service, request, anthropic_conversation(fields), std::move(settings),
                      std::move(format), std::move(exchange));
}

HttpReply anthropic_count_tokens(Service& service, const ApiRequest& request) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  const Json conversation = anthropic_conversation(fields);
  const ConversationPrompt prompt =
      read_conversation(Fields(conversation), service, *request.gone, anthropic_form_members(fields));
  return json_reply({{"input_tokens", prompt.tokens.size()}});
}

}  // namespace llamajit::serve
