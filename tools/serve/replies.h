// Whole replies of JSON, and errors in the form that each API's clients read.
#pragma once

#include "tools/serve/api_error.h"
#include "tools/serve/http_exchange.h"
#include "tools/serve/json_text.h"

namespace llamajit::serve {

HttpReply json_reply(const Json& json);
// OpenAI's: {"error": {"message", "type", "param", "code"}}.
HttpReply error_reply(const ApiError& error);
std::string error_type(int status);
// Ollama's: {"error": "text"}.
HttpReply plain_error_reply(const ApiError& error);
// Anthropic's: {"type": "error", "error": {"type", "message", "details": {"error_code"}}}.
HttpReply anthropic_error_reply(const ApiError& error);
Json anthropic_error(int status, const std::string& message);

}  // namespace llamajit::serve
