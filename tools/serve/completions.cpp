// POST /v1/completions: https://platform.openai.com/docs/api-reference/completions/create
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/generation_fields.h"
#include "tools/serve/openai_format.h"
#include "tools/serve/reply_form.h"
#include "tools/serve/token_lists.h"

namespace llamajit::serve {
namespace {

constexpr std::size_t kMostPrompts = 128;

struct Prompt {
  std::vector<TokenId> tokens;
  std::string text;  // to be echoed
};

Prompt text_prompt(const Service& service, const std::string& text) {
  return {encode_text(service, text, true, true), text};
}

Prompt token_prompt(const Service& service, const Json& list) {
  std::vector<TokenId> tokens = read_tokens(service, list, "prompt");
  std::string text = decode_tokens(service, tokens);
  return {std::move(tokens), std::move(text)};
}

// A text, a list of texts, a list of tokens, or a list of such lists.
std::vector<Prompt> read_prompts(const Service& service, const Fields& fields) {
  const Json& prompt = fields.at("prompt");
  if (prompt.is_string()) return {text_prompt(service, prompt.get<std::string>())};
  if (!prompt.is_array() || prompt.empty()) fields.fail("prompt", "a text or a list", prompt);
  if (prompt.front().is_number()) return {token_prompt(service, prompt)};
  if (prompt.size() > kMostPrompts) {
    fields.fail("prompt", fmt::format("at most {} prompts", kMostPrompts), Json(prompt.size()));
  }
  std::vector<Prompt> prompts;
  for (const Json& one : prompt) {
    if (!one.is_string() && !one.is_array()) fields.fail("prompt", "texts or lists of tokens", one);
    prompts.push_back(one.is_string() ? text_prompt(service, one.get<std::string>())
                                      : token_prompt(service, one));
  }
  return prompts;
}

void refuse_what_is_not_there(const Fields& fields, int choices) {
  if (!fields.text("suffix").value_or("").empty()) {
    fields.fail("suffix", "none: text is not filled in here", fields.at("suffix"));
  }
  if (fields.integer("best_of", 1, kMostChoices).value_or(choices) != choices) {
    fields.fail("best_of", "what n is", fields.at("best_of"));
  }
}

}  // namespace

void completions(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  GenerationSettings settings = read_settings(fields, service);
  settings.top_logprobs = static_cast<int>(fields.integer("logprobs", 0, kMostTopLogprobs).value_or(-1));
  refuse_what_is_not_there(fields, settings.choices);
  settings.form = read_form(fields, service);
  const bool echo = fields.boolean("echo").value_or(false);

  GenerationAnswer answer;
  for (const Prompt& prompt : read_prompts(service, fields)) {
    const std::size_t first = answer.choices.size();
    add_choices(answer.choices, settings, prompt.tokens, service, request.share);
    if (!echo) continue;
    for (std::size_t i = first; i < answer.choices.size(); ++i) answer.choices[i].echo = prompt.text;
  }
  answer.streams = settings.streams;
  const OpenAiOptions options{.include_usage = settings.include_usage,
                              .per_prompt = static_cast<std::size_t>(settings.choices)};
  answer.format =
      std::make_unique<CompletionFormat>(new_reply_header(service, "cmpl-", settings.sampler.seed), options);
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace llamajit::serve
