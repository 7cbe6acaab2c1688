// What the answers of one request have in common.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/serve/answer.h"
#include "tools/serve/service.h"

namespace llamajit::serve {

struct ReplyHeader {
  std::string id;
  std::int64_t created;  // seconds since 1970
  std::string model;
  std::string fingerprint;
  std::uint64_t seed;  // with which the same request gives the same bytes
};

// With a new id that begins with `prefix`.
ReplyHeader new_reply_header(const Service& service, const std::string& prefix, std::uint64_t seed);
// 24 letters and digits at random.
std::string random_id();
std::uint64_t random_seed();
std::int64_t seconds_since_1970();

// "stop", "length" or "tool_calls".
const char* finish_reason(const Ending& ending);

// Tokens of all choices; a prompt that several share counts once.
struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;
  int generated_tokens = 0;
  void add(const GenerationCounts& counts, bool new_prompt);
  Json json() const;  // as OpenAI's API has it
};
// As llama.cpp's server tells of it: tokens and milliseconds.
Json timings(const GenerationCounts& counts);

}  // namespace llamajit::serve
