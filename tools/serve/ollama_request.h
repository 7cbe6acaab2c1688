// What requests of Ollama's API have in common: https://github.com/ollama/ollama/blob/main/docs/api.md
#pragma once

#include <string>

#include "tools/serve/generation_fields.h"

namespace llamajit::serve {

// What /api/chat and /api/generate both have.
struct OllamaRequest {
  std::string model;  // as the request calls it
  GenerationSettings settings;
  bool shows_thinking = true;
};

// The name that a request has for the model, in `model` or, as it was once, in `name`. Throws ApiError (404) where it
// means another one; none at all means the server's.
std::string read_ollama_model(const Fields& fields, const Service& service);

// Throws ApiError (400, 404). Options that it does not know count as nothing, as with Ollama.
OllamaRequest read_ollama_request(const Fields& fields, const Service& service);

// The same of options that say nothing of how text is chosen: the context, and how long the model is to stay.
void check_ollama_options(const Fields& fields, const Service& service);

// Members of a conversation as answer_conversation() takes it: `format`, "json" or a schema, and `think`, true, false
// or an effort. Throws ApiError (400).
void add_ollama_form(const Fields& fields, Json& conversation);
// The messages, whose calls have arguments that are objects and whose thoughts are called thinking. Throws ApiError
// (400), also for pictures.
Json ollama_messages(const Fields& fields);

}  // namespace llamajit::serve
