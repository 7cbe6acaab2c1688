// The endpoints. Each reads a request and answers it, now or as text is generated; all throw ApiError.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "tools/serve/http_exchange.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

// A request that was let in.
struct ApiRequest {
  HttpRequest http;
  std::string share;  // of whoever sent it, in the engine's time
  // Becomes true where nobody waits for an answer any more, until one is begun.
  std::shared_ptr<const std::atomic<bool>> gone;
};

using Exchange = std::shared_ptr<HttpExchange>;

// OpenAI's.
void chat_completions(Service& service, const ApiRequest& request, Exchange exchange);
void completions(Service& service, const ApiRequest& request, Exchange exchange);
void responses(Service& service, const ApiRequest& request, Exchange exchange);
void embeddings(Service& service, const ApiRequest& request, Exchange exchange);
HttpReply list_models(const Service& service);
HttpReply show_model(const Service& service, std::string_view name);

// Anthropic's.
void anthropic_messages(Service& service, const ApiRequest& request, Exchange exchange);
HttpReply anthropic_count_tokens(Service& service, const ApiRequest& request);

// llama.cpp's.
HttpReply tokenize_text(const Service& service, const HttpRequest& request);
HttpReply detokenize_tokens(const Service& service, const HttpRequest& request);
HttpReply apply_template(Service& service, const ApiRequest& request);

// Ollama's.
void ollama_chat(Service& service, const ApiRequest& request, Exchange exchange);
void ollama_generate(Service& service, const ApiRequest& request, Exchange exchange);
void ollama_embed(Service& service, const ApiRequest& request, Exchange exchange);
void ollama_embeddings(Service& service, const ApiRequest& request, Exchange exchange);
HttpReply ollama_tags(const Service& service);
HttpReply ollama_running(const Service& service);
HttpReply ollama_version();
HttpReply ollama_show(const Service& service, const HttpRequest& request);
// What would change which models there are: always throws.
HttpReply ollama_refusal(const Service& service, const HttpRequest& request);

// For those who watch the server.
HttpReply metrics(const Service& service);

}  // namespace llamajit::serve
