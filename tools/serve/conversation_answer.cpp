#include "tools/serve/conversation_answer.h"

#include <utility>

#include "tools/serve/api_error.h"
#include "tools/serve/messages.h"

namespace llamajit::serve {
namespace {

// Better than an answer that looks as if it kept to them.
void refuse_what_is_not_there(const Fields& conversation) {
  if (const Json* const tools = conversation.list("tools"); tools != nullptr && !tools->empty()) {
    conversation.fail("tools", "none: this server does not offer tools yet", *tools);
  }
  if (conversation.has("response_format")) {
    throw ApiError(400, "format: expected none: this server does not hold answers to a form yet",
                   "response_format");
  }
}

}  // namespace

void answer_conversation(Service& service, const ApiRequest& request, const Json& conversation,
                         GenerationSettings settings, std::unique_ptr<AnswerFormat> format,
                         Exchange exchange) {
  const Fields fields(conversation);
  refuse_what_is_not_there(fields);
  const std::vector<TokenId> prompt = chat_prompt(service, read_messages(fields, "messages"));
  const std::vector<std::string>& template_stops = service.chat_template.stops();
  settings.stops.insert(settings.stops.end(), template_stops.begin(), template_stops.end());

  GenerationAnswer answer;
  add_choices(answer.choices, settings, prompt, service, request.share);
  answer.streams = settings.streams;
  answer.format = std::move(format);
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace llamajit::serve
