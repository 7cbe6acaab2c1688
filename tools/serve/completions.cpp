// POST /v1/completions: https://platform.openai.com/docs/api-reference/completions/create
#include <string>
#include <utility>
#include <vector>

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

// Of prompt number i, to be echoed: as it came, or what its tokens stand for.
std::string prompt_text(const Service& service, const Json& prompts, std::size_t i,
                        const std::vector<TokenId>& tokens) {
  if (prompts.is_string()) return prompts.get<std::string>();
  return prompts[i].is_string() ? prompts[i].get<std::string>() : decode_tokens(service, tokens);
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

  const auto encode = [&](const std::string& text) { return encode_text(service, text, true, true); };
  const auto prompts = read_token_texts(service, fields, "prompt", kMostPrompts, encode);
  GenerationAnswer answer;
  std::vector<std::string> echoes;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::size_t first = answer.choices.size();
    add_choices(answer.choices, settings, prompts[i], service, request.share);
    const std::string text = echo ? prompt_text(service, fields.at("prompt"), i, prompts[i]) : "";
    for (std::size_t c = first; c < answer.choices.size(); ++c) answer.choices[c].echo = text;
    echoes.resize(answer.choices.size(), text);
  }
  answer.streams = settings.streams;
  const OpenAiOptions options{.include_usage = settings.include_usage,
                              .per_prompt = static_cast<std::size_t>(settings.choices)};
  answer.format = std::make_unique<CompletionFormat>(
      new_reply_header(service, "cmpl-", settings.sampler.seed), options, echoes);
  GenerationJob::start(service, std::move(answer), std::move(exchange));
}

}  // namespace llamajit::serve
