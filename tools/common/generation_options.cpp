#include "tools/common/generation_options.h"

#include <chrono>

#include <spdlog/spdlog.h>

namespace llamajit::cli {
namespace {

void add_sampling(CLI::App& sub, SamplerOptions& s) {
  sub.add_option("--temp", s.temperature, "Temperature; 0 takes the most likely token")
      ->capture_default_str();
  sub.add_option("--top-p,--top_p", s.top_p, "Draw from the likeliest tokens whose probabilities sum to P")
      ->capture_default_str();
  sub.add_option("--top-k,--top_k", s.top_k, "Draw from the K likeliest tokens; 0: from all")
      ->capture_default_str();
  sub.add_option("--min-p,--min_p", s.min_p, "Draw from tokens at least P times as likely as the likeliest")
      ->capture_default_str();
  sub.add_option("--repeat-penalty,--repeat_penalty", s.repeat_penalty,
                 "Make recent tokens less likely; 1: off")
      ->capture_default_str();
  sub.add_option("--repeat-last-n,--repeat_last_n", s.repeat_last_n, "How many tokens are recent; -1: all")
      ->capture_default_str();
}

}  // namespace

void add_generation_options(CLI::App& sub, TextRequest& r, SeedOption& seed) {
  r.threads = default_threads();
  sub.add_option("-z,--tokenizer", r.tokenizer,
                 "tokenizer.bin; default: what a GGUF file has inside, or the one beside the model");
  sub.add_option("-c,--ctx-size,--ctx_size", r.context, "Context in tokens; default: the model's")
      ->check(CLI::PositiveNumber);
  sub.add_option("-b,--batch-size,--batch_size", r.generation.prompt_part,
                 "Feed a prompt this many tokens at a time; Ctrl-C waits for no more than them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub.add_option("-t,--threads", r.threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  add_sampling(sub, r.sampler);
  sub.add_option("-s,--seed", seed.seed, "Seed of the draws; default: from the clock");
  sub.add_option(
      "--isa", r.isa,
      "Instruction tier: scalar, avx2, avxvnni, avx512, avx512vnni, avx512bf16; default: the best");
  add_precision(sub, r.precision);
  add_inspection(sub, r.inspection);
  add_tune(sub, r.tune);
  sub.add_flag("--ignore-eos,--ignore_eos", r.generation.ignore_eos,
               "Never choose a token that ends the text");
  sub.add_flag("-v,--verbose", seed.verbose, "Tell more on standard error");
}

void finish_generation_options(TextRequest& request, const SeedOption& seed) {
  if (seed.verbose) spdlog::set_level(spdlog::level::debug);
  if (request.sampler.top_p == 0) request.sampler.top_p = 1;  // llama2.c's way to say "off"
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  request.sampler.seed = seed.seed.value_or(static_cast<std::uint64_t>(now));
}

}  // namespace llamajit::cli
