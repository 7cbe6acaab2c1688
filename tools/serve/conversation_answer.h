// The way into the engine for APIs that have conversations in another form than OpenAI's first one.
#pragma once

#include <memory>

#include "tools/serve/answer.h"
#include "tools/serve/api.h"
#include "tools/serve/generation_fields.h"

namespace llamajit::serve {

// Answers a conversation that is written as in a request for /v1/chat/completions: its members messages, tools,
// tool_choice, response_format (or grammar, json_schema), reasoning_effort and chat_template_kwargs. All else is in the settings. The stops of
// the model's template are added to theirs. Throws ApiError (400, 429, 503).
void answer_conversation(Service& service, const ApiRequest& request, const Json& conversation,
                         GenerationSettings settings, std::unique_ptr<AnswerFormat> format,
                         Exchange exchange);

}  // namespace llamajit::serve
