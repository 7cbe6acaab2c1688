#include "tools/serve/reply_header.h"

#include <chrono>
#include <mutex>
#include <random>

namespace llamajit::serve {
namespace {

std::uint64_t random_number() {
  static std::mutex mutex;
  static std::mt19937_64 numbers{std::random_device{}()};
  const std::lock_guard lock(mutex);
  return numbers();
}

double per_second(int tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0;
}

}  // namespace

std::string random_id() {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id;
  for (int half = 0; half < 2; ++half) {
    for (std::uint64_t number = random_number(), i = 0; i < 12; ++i, number /= kLetters.size()) {
      id += kLetters[number % kLetters.size()];
    }
  }
  return id;
}

// JSON's numbers are doubles to many: 53 bits stay what they are.
std::uint64_t random_seed() {
  return random_number() >> 11;
}

std::int64_t seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

ReplyHeader new_reply_header(const Service& service, const std::string& prefix, std::uint64_t seed) {
  return {prefix + random_id(), seconds_since_1970(), service.model, service.fingerprint, seed};
}

const char* finish_reason(const Ending& ending) {
  if (ending.reason == Finish::length) return "length";
  return ending.calls_tools ? "tool_calls" : "stop";
}

void Usage::add(const GenerationCounts& counts, bool new_prompt) {
  generated_tokens += counts.generated_tokens;
  if (!new_prompt) return;
  prompt_tokens += counts.prompt_tokens;
  cached_tokens += counts.cached_tokens;
}

Json Usage::json() const {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", generated_tokens},
          {"total_tokens", prompt_tokens + generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}}};
}

Json timings(const GenerationCounts& counts) {
  const int read = counts.prompt_tokens - counts.cached_tokens;
  Json timings = {
      {"cache_n", counts.cached_tokens},
      {"prompt_n", read},
      {"prompt_ms", 1e3 * counts.prompt_seconds},
      {"prompt_per_second", per_second(read, counts.prompt_seconds)},
      {"predicted_n", counts.generated_tokens},
      {"predicted_ms", 1e3 * counts.generation_seconds},
      {"predicted_per_second", per_second(counts.generated_tokens - 1, counts.generation_seconds)},
      {"waiting_ms", 1e3 * counts.waiting_seconds}};
  if (counts.drafted_tokens > 0) {
    timings["draft_n"] = counts.drafted_tokens;
    timings["draft_n_accepted"] = counts.accepted_tokens;
  }
  return timings;
}

}  // namespace llamajit::serve
