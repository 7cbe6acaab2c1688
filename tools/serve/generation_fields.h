// The members of requests that say how text is generated, whatever the API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/serve/fields.h"
#include "tools/serve/generation_job.h"

namespace llamajit::serve {

// What n choices have in common.
struct GenerationSettings {
  SamplerOptions sampler;
  bool seed_given = false;
  int max_tokens = -1;
  int choices = 1;
  bool streams = false;
  bool include_usage = false;
  bool ignore_eos = false;
  bool reuse_prefix = true;
  int top_logprobs = -1;
  std::vector<std::string> stops;
  std::shared_ptr<Masks> form;  // what texts are held to; nullptr: nothing
};

// As OpenAI's API has them, with llama.cpp's beside: top_k, min_p, repeat_penalty, repeat_last_n, ignore_eos,
// cache_prompt. Throws ApiError (400).
GenerationSettings read_settings(const Fields& fields, const Service& service);
void read_sampling(const Fields& fields, const Service& service, SamplerOptions& sampler);
// -1, as any number below 0, asks for one by chance.
void read_seed(const Fields& fields, GenerationSettings& settings);
// logprobs (true or false) with top_logprobs.
void read_logprobs(const Fields& fields, GenerationSettings& settings);
std::vector<std::string> read_stops(const Fields& fields, const char* name);

// Throws ApiError (400) where the model is an encoder.
void check_writes_text(const Service& service);
// Requests for the choices of one prompt. The seeds of further choices follow from the first one's. Throws ApiError
// (400) for a prompt that the context does not hold.
void add_choices(std::vector<ChoiceRequest>& choices, const GenerationSettings& settings,
                 const std::vector<TokenId>& prompt, const Service& service, const std::string& share);

inline constexpr int kMostInt = std::numeric_limits<int>::max();
inline constexpr int kMostChoices = 128;
inline constexpr int kMostTopLogprobs = 20;

}  // namespace llamajit::serve
