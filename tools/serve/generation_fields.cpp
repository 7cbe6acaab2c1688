#include "tools/serve/generation_fields.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "tools/serve/api_error.h"
#include "tools/serve/reply_header.h"
#include "tools/serve/token_lists.h"

namespace llamajit::serve {
namespace {

constexpr std::size_t kMostStops = 32;
constexpr std::size_t kLongestStop = 1024;  // bytes
// 2^64 / golden ratio: seeds that lie side by side give draws that are alike at first.
constexpr std::uint64_t kSeedStep = 0x9E3779B97F4A7C15;
// top_p = 0 means the likeliest token alone.
constexpr double kLeastTopP = 1e-6;

template <class To, class From>
void set(To& to, const std::optional<From>& value) {
  if (value) to = static_cast<To>(*value);
}

// {"15043": -100, …}
void read_logit_bias(const Fields& fields, const Service& service, SamplerOptions& sampler) {
  const auto biases = fields.object("logit_bias");
  if (!biases) return;
  for (const auto& [name, value] : fields.at("logit_bias").items()) {
    TokenId token = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), token);
    const bool is_token = error == std::errc() && end == name.data() + name.size() && token >= 0 &&
                          token < service.tokenizer.vocab().size();
    if (!is_token) fields.fail("logit_bias", "names that are token ids", Json(name));
    const double bias = biases->number(name.c_str(), -1e6, 1e6).value_or(0);
    sampler.logit_bias.emplace_back(token, static_cast<float>(bias));
  }
}

// What would change the text, and is not there: better refused than left out of account. Their neutral values mean
// nothing.
void refuse_other_samplers(const Fields& fields) {
  constexpr std::pair<const char*, double> kOthers[] = {
      {"mirostat", 0},        {"typical_p", 1},    {"tfs_z", 1},         {"dry_multiplier", 0},
      {"xtc_probability", 0}, {"top_n_sigma", -1}, {"dynatemp_range", 0}};
  for (const auto& [name, neutral] : kOthers) {
    const Json* const value = fields.find(name);
    if (value != nullptr && *value != neutral) {
      fields.fail(name, fmt::format("{}: this sampler is not there", neutral), *value);
    }
  }
  for (const char* name : {"functions", "function_call"}) {
    if (fields.has(name)) fields.fail(name, "none: tools and tool_choice took their place", fields.at(name));
  }
}

void read_limits(const Fields& fields, GenerationSettings& settings) {
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    const auto most = fields.integer(name, -1, kMostInt);
    if (most && *most == 0) fields.fail(name, "1 at least, or -1", fields.at(name));
    set(settings.max_tokens, most);
  }
  set(settings.choices, fields.integer("n", 1, kMostChoices));
}

}  // namespace

void read_sampling(const Fields& fields, const Service& service, SamplerOptions& sampler) {
  refuse_other_samplers(fields);
  set(sampler.temperature, fields.number("temperature", 0, 1e9));
  if (const auto top_p = fields.number("top_p", 0, 1)) {
    sampler.top_p = static_cast<float>(std::max(*top_p, kLeastTopP));
  }
  set(sampler.top_k, fields.integer("top_k", -1, kMostInt));
  sampler.top_k = std::max(sampler.top_k, 0);
  if (const auto min_p = fields.number("min_p", 0, 1)) {
    sampler.min_p = std::min(static_cast<float>(*min_p), 1 - std::numeric_limits<float>::epsilon());
  }
  set(sampler.presence_penalty, fields.number("presence_penalty", -100, 100));
  set(sampler.frequency_penalty, fields.number("frequency_penalty", -100, 100));
  set(sampler.repeat_penalty, fields.number("repeat_penalty", 1e-3, 1e3));
  set(sampler.repeat_last_n, fields.integer("repeat_last_n", -1, kMostInt));
  read_logit_bias(fields, service, sampler);
}

void read_seed(const Fields& fields, GenerationSettings& settings) {
  const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max());
  settings.seed_given = seed && *seed >= 0;
  settings.sampler.seed = settings.seed_given ? static_cast<std::uint64_t>(*seed) : random_seed();
}

void read_logprobs(const Fields& fields, GenerationSettings& settings) {
  const auto top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  if (fields.boolean("logprobs").value_or(false)) settings.top_logprobs = static_cast<int>(top.value_or(0));
}

std::vector<std::string> read_stops(const Fields& fields, const char* name) {
  std::vector<std::string> stops = fields.texts(name);
  std::erase(stops, "");
  if (stops.size() > kMostStops) {
    fields.fail(name, fmt::format("at most {} texts", kMostStops), Json(stops.size()));
  }
  for (const std::string& stop : stops) {
    if (stop.size() > kLongestStop) {
      fields.fail(name, fmt::format("texts of at most {} bytes", kLongestStop), Json(stop));
    }
  }
  return stops;
}

GenerationSettings read_settings(const Fields& fields, const Service& service) {
  GenerationSettings settings;
  settings.sampler.temperature = 1;
  read_sampling(fields, service, settings.sampler);
  read_seed(fields, settings);
  read_limits(fields, settings);
  settings.stops = read_stops(fields, "stop");
  set(settings.streams, fields.boolean("stream"));
  if (const auto options = fields.object("stream_options")) {
    set(settings.include_usage, options->boolean("include_usage"));
  }
  set(settings.ignore_eos, fields.boolean("ignore_eos"));
  set(settings.reuse_prefix, fields.boolean("cache_prompt"));
  return settings;
}

void check_writes_text(const Service& service) {
  if (service.file.config.causal) return;
  throw ApiError(400,
                 fmt::format("model: expected one that writes text, found '{}', an encoder, which makes "
                             "embeddings alone (/v1/embeddings, /api/embed)",
                             service.model),
                 "model");
}

void add_choices(std::vector<ChoiceRequest>& choices, const GenerationSettings& settings,
                 const std::vector<TokenId>& prompt, const Service& service, const std::string& share) {
  check_writes_text(service);
  check_prompt_fits(service, prompt.size(), "prompt");
  for (int i = 0; i < settings.choices; ++i) {
    ChoiceRequest choice;
    GenerationRequest& generation = choice.generation;
    generation.prompt = prompt;
    generation.sampler = settings.sampler;
    generation.sampler.seed += static_cast<std::uint64_t>(i) * kSeedStep;
    generation.max_tokens = settings.max_tokens;
    generation.ignore_eos = settings.ignore_eos;
    generation.top_logprobs = settings.top_logprobs;
    generation.reuse_prefix = settings.reuse_prefix;
    generation.share = share;
    if (settings.form) generation.constraint = std::make_unique<Constraint>(settings.form);
    choice.stops = settings.stops;
    choices.push_back(std::move(choice));
  }
}

}  // namespace llamajit::serve
