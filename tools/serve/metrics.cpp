// GET /metrics, in the text form of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/
#include <fmt/format.h>

#include "tools/serve/api.h"

namespace llamajit::serve {
namespace {

class Exposition {
 public:
  template <class Number>
  void add(std::string_view name, std::string_view type, std::string_view help, Number value) {
    text_ += fmt::format("# HELP llamajit_{0} {1}\n# TYPE llamajit_{0} {2}\nllamajit_{0} {3}\n", name, help,
                         type, value);
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

HttpReply metrics(const Service& service) {
  constexpr std::string_view kCounter = "counter", kGauge = "gauge";
  const SchedulerStats s = service.scheduler.stats();
  Exposition e;
  e.add("requests_total", kCounter, "Texts that have ended", s.requests);
  e.add("prompt_tokens_total", kCounter, "Tokens of their prompts", s.prompt_tokens);
  e.add("prompt_tokens_cached_total", kCounter, "Of these, tokens that were not computed again",
        s.cached_tokens);
  e.add("generated_tokens_total", kCounter, "Tokens that were generated", s.generated_tokens);
  e.add("drafted_tokens_total", kCounter, "Tokens that were guessed", s.drafted_tokens);
  e.add("accepted_tokens_total", kCounter, "Guessed tokens that texts have", s.accepted_tokens);
  e.add("prompt_seconds_total", kCounter, "Time of texts from their places to their first tokens",
        s.prompt_seconds);
  e.add("generation_seconds_total", kCounter, "Time of texts after that", s.generation_seconds);
  e.add("steps_total", kCounter, "Steps of the engine", s.steps);
  e.add("step_seconds_total", kCounter, "Time of these steps", s.step_seconds);
  e.add("texts_at_work", kGauge, "Texts that are read or written now", s.at_work);
  e.add("texts_waiting", kGauge, "Texts that wait for a place", s.waiting);
  e.add("texts_kept", kGauge, "Texts that are kept for others that begin alike", s.kept);
  e.add("cache_bytes", kGauge, "Bytes of keys and values in use", s.cache_bytes);
  return {200, "text/plain; version=0.0.4", std::move(e).text(), {}};
}

}  // namespace llamajit::serve
