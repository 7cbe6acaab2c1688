// POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat/create
#include <utility>

#include "tools/serve/api_error.h"
#include "tools/serve/conversation_answer.h"
#include "tools/serve/openai_format.h"

namespace llamajit::serve {
void chat_completions(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  GenerationSettings settings = read_settings(fields, service);
  read_logprobs(fields, settings);
  if (fields.has("top_logprobs") && settings.top_logprobs < 0) {
    throw ApiError(400, "top_logprobs: expected logprobs to be true beside it", "top_logprobs");
  }
  const OpenAiOptions options{.include_usage = settings.include_usage,
                              .per_prompt = static_cast<std::size_t>(settings.choices)};
  auto format = std::make_unique<ChatFormat>(new_reply_header(service, "chatcmpl-", settings.sampler.seed),
                                             options, static_cast<std::size_t>(settings.choices));
  answer_conversation(service, request, body, std::move(settings), std::move(format), std::move(exchange));
}

}  // namespace llamajit::serve
