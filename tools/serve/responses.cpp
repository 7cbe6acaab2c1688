// POST /v1/responses: https://platform.openai.com/docs/api-reference/responses/create
#include <utility>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/conversation_answer.h"
#include "tools/serve/reply_header.h"
#include "tools/serve/responses_format.h"
#include "tools/serve/responses_input.h"

namespace llamajit::serve {
namespace {

constexpr std::size_t kMostMetadata = 16;

void refuse_what_is_stored(const Fields& fields) {
  const auto refuse = [&](const char* name, const char* why) {
    if (fields.has(name)) fields.fail(name, why, fields.at(name));
  };
  refuse("previous_response_id", "none: answers are not stored here; send the conversation as input");
  refuse("conversation", "none: conversations are not stored here; send them as input");
  refuse("prompt", "none: prompts are not stored here; send them as input");
  if (fields.boolean("background").value_or(false)) {
    fields.fail("background", "false: answers are not stored here", fields.at("background"));
  }
  if (fields.integer("top_logprobs", 0, kMostTopLogprobs).value_or(0) > 0) {
    fields.fail("top_logprobs", "0: /v1/chat/completions has them", fields.at("top_logprobs"));
  }
}

GenerationSettings read_responses_settings(const Fields& fields, const Service& service) {
  GenerationSettings settings;
  settings.sampler.temperature = 1;
  read_sampling(fields, service, settings.sampler);
  read_seed(fields, settings);
  const auto most = fields.integer("max_output_tokens", 1, kMostInt);
  if (most) settings.max_tokens = static_cast<int>(*most);
  settings.stops = read_stops(fields, "stop");
  settings.streams = fields.boolean("stream").value_or(false);
  return settings;
}

Json read_metadata(const Fields& fields) {
  if (!fields.object("metadata")) return Json::object();
  const Json& metadata = fields.at("metadata");
  if (metadata.size() > kMostMetadata) {
    fields.fail("metadata", fmt::format("at most {} members", kMostMetadata), Json(metadata.size()));
  }
  for (const auto& [name, value] : metadata.items()) {
    if (!value.is_string()) fields.object("metadata")->fail(name, "a text", value);
  }
  return metadata;
}

Json or_else(const Fields& fields, const char* name, const Json& missing) {
  const Json* const found = fields.find(name);
  return found == nullptr ? missing : *found;
}

// What is said of the request in its answer.
Json response_json(const Service& service, const Fields& fields, const GenerationSettings& settings) {
  const auto text = fields.object("text");
  const auto reasoning = fields.object("reasoning");
  const Json none = Json::object();
  const Fields of_reasoning = reasoning.value_or(Fields(none));
  const auto truncation = fields.text("truncation").value_or("disabled");
  if (truncation != "disabled" && truncation != "auto") {
    fields.fail("truncation", "disabled or auto", fields.at("truncation"));
  }
  return {
      {"id", "resp_" + random_id()},
      {"object", "response"},
      {"created_at", seconds_since_1970()},
      {"status", nullptr},
      {"background", false},
      {"error", nullptr},
      {"incomplete_details", nullptr},
      {"instructions", or_else(fields, "instructions", nullptr)},
      {"max_output_tokens", or_else(fields, "max_output_tokens", nullptr)},
      {"model", fields.text("model").value_or(service.model)},
      {"output", Json::array()},
      {"parallel_tool_calls", fields.boolean("parallel_tool_calls").value_or(true)},
      {"previous_response_id", nullptr},
      {"reasoning",
       {{"effort", or_else(of_reasoning, "effort", nullptr)},
        {"summary", or_else(of_reasoning, "summary", nullptr)}}},
      {"store", false},
      {"temperature", or_else(fields, "temperature", 1.0)},
      {"text", {{"format", text ? or_else(*text, "format", {{"type", "text"}}) : Json{{"type", "text"}}}}},
      {"tool_choice", or_else(fields, "tool_choice", "auto")},
      {"tools", or_else(fields, "tools", Json::array())},
      {"top_logprobs", 0},
      {"top_p", or_else(fields, "top_p", 1.0)},
      {"truncation", "disabled"},  // a prompt that is too long is refused
      {"usage", nullptr},
      {"user", or_else(fields, "user", nullptr)},
      {"metadata", read_metadata(fields)},
      {"seed", settings.sampler.seed},
      {"system_fingerprint", service.fingerprint}};
}

}  // namespace

void responses(Service& service, const ApiRequest& request, Exchange exchange) {
  const Json body = parse_object(request.http.body);
  service.check_model(body);
  const Fields fields(body);
  refuse_what_is_stored(fields);
  GenerationSettings settings = read_responses_settings(fields, service);
  ResponsesFormat::Options options;
  options.response = response_json(service, fields, settings);
  options.count_tokens = [&service](std::string_view text) {
    return static_cast<int>(
        service.tokenizer.encode(text, {.bos = false, .eos = false, .special = false}).size());
  };
  if (fields.boolean("store").value_or(true)) {
    options.keep = [&service, owner = request.share](const Json& item) { service.items.keep(owner, item); };
  }
  const Json conversation = responses_conversation(fields, service.items, request.share);
  answer_conversation(service, request, conversation, std::move(settings),
                      std::make_unique<ResponsesFormat>(std::move(options)), std::move(exchange));
}

}  // namespace llamajit::serve
