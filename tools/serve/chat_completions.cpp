// POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat/create
#include <utility>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/generation_fields.h"
#include "tools/serve/messages.h"
#include "tools/serve/openai_format.h"

namespace llamajit::serve {
namespace {

void read_logprobs(const Fields& fields, GenerationSettings& settings) {
  const auto top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  if (fields.boolean("logprobs").value_or(false)) {
    settings.top_logprobs = static_cast<int>(top.value_or(0));
  } else if (top) {
    throw ApiError(400, "top_logprobs: expected logprobs to be true beside it", "top_logprobs");
  }
}

}  // namespace

void chat_completions(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  GenerationSettings settings = read_settings(fields, service);
  read_logprobs(fields, settings);
  const std::vector<Message> messages = read_messages(fields, "messages");
  const std::vector<std::string>& template_stops = service.chat_template.stops();
  settings.stops.insert(settings.stops.end(), template_stops.begin(), template_stops.end());

  GenerationAnswer answer;
  add_choices(answer.choices, settings, chat_prompt(service, messages), service, request.share);
  answer.streams = settings.streams;
  const OpenAiOptions options{.include_usage = settings.include_usage,
                              .per_prompt = static_cast<std::size_t>(settings.choices)};
  answer.format = std::make_unique<ChatFormat>(new_reply_header(service, "chatcmpl-", settings.sampler.seed),
                                               options, static_cast<std::size_t>(settings.choices));
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace llamajit::serve
