// GET /v1/models and /v1/models/NAME: https://platform.openai.com/docs/api-reference/models
#include <algorithm>

#include <fmt/format.h>

#include "tools/serve/api.h"
#include "tools/serve/api_error.h"
#include "tools/serve/fields.h"
#include "tools/serve/replies.h"

namespace llamajit::serve {
namespace {

Json model_json(const Service& service) {
  const Engine& engine = service.scheduler.engine();
  return {{"id", service.model},
          {"object", "model"},
          {"created", service.created},
          {"owned_by", "llamajit"},
          {"meta",
           {{"n_vocab", engine.config().vocab_size},
            {"n_ctx", engine.context()},
            {"n_ctx_train", engine.config().seq_len},
            {"n_embd", engine.config().dim}}}};
}

}  // namespace

bool Service::is_named(std::string_view name) const {
  return name == model || std::ranges::count(aliases, name) > 0;
}

void Service::check_model(const Json& request) const {
  const auto name = Fields(request).text("model");
  if (!name || name->empty() || is_named(*name)) return;
  throw ApiError(404, fmt::format("model: expected {}, found {}", model, shown(Json(*name))), "model",
                 "model_not_found");
}

void Service::submit(std::vector<WaitingRequest> requests) {
  const Scheduler::Answer answer = scheduler.submit(std::move(requests));
  if (answer == Scheduler::Answer::taken) return;
  ApiError error = answer == Scheduler::Answer::full
                       ? ApiError(429, "server: too many requests are waiting", "", "overloaded")
                       : ApiError(503, "server: it is ending", "", "ending");
  error.retry_after = 2;
  throw ApiError(error);
}

HttpReply list_models(const Service& service) {
  return json_reply({{"object", "list"}, {"data", Json::array({model_json(service)})}});
}

HttpReply show_model(const Service& service, std::string_view name) {
  service.check_model({{"model", std::string(name)}});
  return json_reply(model_json(service));
}

}  // namespace llamajit::serve
