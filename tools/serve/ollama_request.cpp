#include "tools/serve/ollama_request.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/messages.h"

namespace llamajit::serve {
namespace {

constexpr std::array<std::string_view, 4> kEfforts{"low", "medium", "high", "max"};

// api/types.go, DefaultOptions().
SamplerOptions ollama_sampler() {
  SamplerOptions sampler;
  sampler.temperature = 0.8F;
  sampler.top_k = 40;
  sampler.top_p = 0.9F;
  sampler.repeat_penalty = 1;
  sampler.repeat_last_n = 64;
  return sampler;
}

// A model can't be loaded once more with another context, and texts may always use all of it.
void check_context(const Fields& options, const Service& service) {
  const int context = service.scheduler.engine().context();
  const auto asked = options.integer("num_ctx", 0, kMostInt);
  if (asked && *asked > context) {
    options.fail("num_ctx", fmt::format("at most {}, the context that the server was started with", context),
                 options.at("num_ctx"));
  }
}

void read_options(const Fields& options, const Service& service, GenerationSettings& settings) {
  read_sampling(options, service, settings.sampler);
  read_seed(options, settings);
  settings.stops = read_stops(options, "stop");
  check_context(options, service);
  // 0, -1 and -2 ask for as much as there is room for.
  const auto most = options.integer("num_predict", -2, kMostInt);
  if (most && *most > 0) settings.max_tokens = static_cast<int>(*most);
}

// The model stays for as long as the server runs.
void check_keep_alive(const Fields& fields) {
  const Json* const time = fields.find("keep_alive");
  if (time == nullptr || time->is_string() || time->is_number()) return;
  fields.fail("keep_alive", "a time (\"5m\") or seconds", *time);
}

Json call_of(const Fields& call, std::size_t index) {
  const auto function = call.object("function");
  if (!function) call.at("function");
  const Json* const arguments = function->find("arguments");
  if (arguments != nullptr && !arguments->is_object()) function->fail("arguments", "an object", *arguments);
  return {{"id", call.text("id").value_or(fmt::format("call_{}", index))},
          {"type", "function"},
          {"function",
           {{"name", function->required_text("name")},
            {"arguments", arguments == nullptr ? "{}" : text_of(*arguments)}}}};
}

Json message_of(const Fields& message) {
  if (const Json* const images = message.list("images"); images != nullptr && !images->empty()) {
    message.fail("images", "none: no model here takes pictures", *images);
  }
  Json as = {{"role", message.required_text("role")}, {"content", read_content(message, "content")}};
  if (const auto thinking = message.text("thinking")) as["reasoning_content"] = *thinking;
  if (const auto name = message.text("tool_name")) as["name"] = *name;
  if (const auto id = message.text("tool_call_id")) as["tool_call_id"] = *id;
  if (const Json* const calls = message.list("tool_calls")) {
    for (std::size_t i = 0; i < calls->size(); ++i) {
      const Fields call((*calls)[i], fmt::format("{}[{}]", message.path_of("tool_calls"), i));
      as["tool_calls"].push_back(call_of(call, i));
    }
  }
  return as;
}

}  // namespace

std::string read_ollama_model(const Fields& fields, const Service& service) {
  auto name = fields.text("model");
  if (!name || name->empty()) name = fields.text("name");
  if (!name || name->empty()) return service.model;
  if (service.is_named(*name)) return *name;
  throw ApiError(404, fmt::format("model {} not found: expected {}, the only one here", shown(Json(*name)),
                                  json_string(service.model)));
}

OllamaRequest read_ollama_request(const Fields& fields, const Service& service) {
  OllamaRequest request;
  request.model = read_ollama_model(fields, service);
  request.settings.sampler = ollama_sampler();
  request.settings.streams = fields.boolean("stream").value_or(true);
  const Json none = Json::object();
  read_options(fields.object("options").value_or(Fields(none)), service, request.settings);
  read_logprobs(fields, request.settings);
  check_keep_alive(fields);
  const Json* const think = fields.find("think");
  request.shows_thinking = think == nullptr || *think != Json(false);
  return request;
}

void check_ollama_options(const Fields& fields, const Service& service) {
  if (const auto options = fields.object("options")) check_context(*options, service);
  check_keep_alive(fields);
}

void add_ollama_form(const Fields& fields, Json& conversation) {
  if (const Json* const format = fields.find("format"); format != nullptr && *format != Json("")) {
    if (format->is_object()) {
      conversation["response_format"] = {{"type", "json_schema"},
                                         {"json_schema", {{"name", "answer"}, {"schema", *format}}}};
    } else if (*format == Json("json")) {
      conversation["response_format"] = {{"type", "json_object"}};
    } else {
      fields.fail("format", "\"json\" or a schema", *format);
    }
  }
  const Json* const think = fields.find("think");
  if (think == nullptr) return;
  if (think->is_boolean()) {
    conversation["chat_template_kwargs"] = {{"enable_thinking", *think}};
  } else if (think->is_string() && std::ranges::count(kEfforts, think->get<std::string>()) > 0) {
    const auto effort = think->get<std::string>();
    conversation["reasoning_effort"] = effort == "max" ? "high" : effort;
  } else {
    fields.fail("think", R"(true, false, "low", "medium", "high" or "max")", *think);
  }
}

Json ollama_messages(const Fields& fields) {
  fields.at("messages");
  const Json& list = *fields.list("messages");
  Json messages = Json::array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    messages.push_back(message_of(Fields(list[i], fmt::format("messages[{}]", i))));
  }
  return messages;
}

}  // namespace llamajit::serve
