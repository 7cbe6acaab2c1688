#include "tools/serve/conversation_answer.h"

#include <utility>

#include "tools/serve/conversation_prompt.h"

namespace llamajit::serve {

void answer_conversation(Service& service, const ApiRequest& request, const Json& conversation,
                         GenerationSettings settings, std::unique_ptr<AnswerFormat> format,
                         Exchange exchange) {
  ConversationPrompt prompt =
      read_conversation(Fields(conversation), service, *request.gone, format->form_members());
  settings.form = std::move(prompt.form);
  const std::vector<std::string>& template_stops = service.chat_template.stops();
  settings.stops.insert(settings.stops.end(), template_stops.begin(), template_stops.end());

  GenerationAnswer answer;
  add_choices(answer.choices, settings, prompt.tokens, service, request.share);
  for (ChoiceRequest& choice : answer.choices) {
    choice.reading = prompt.reading;
    choice.reading->call_seed ^= choice.generation.sampler.seed;
  }
  answer.streams = settings.streams;
  format->set_prompt_tokens(static_cast<int>(prompt.tokens.size()));
  answer.format = std::move(format);
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace llamajit::serve
