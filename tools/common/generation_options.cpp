#include "tools/common/generation_options.h"

#include <chrono>

#include <spdlog/spdlog.h>

#include "tools/common/checks.h"

namespace llamajit::cli {
namespace {

void add_sampling(CLI::App& sub, SamplerOptions& s, SeedOption& seed) {
  constexpr const char* kGroup = "Sampling";
  const auto add = [&](const char* names, auto& value, const char* text, const CLI::Validator& check) {
    sub.add_option(names, value, text)->transform(check)->capture_default_str()->group(kGroup);
  };
  add("--temp", s.temperature, "Temperature; 0 takes the most likely token", number(0, 1e9));
  add("--top-p,--top_p", s.top_p,
      "Draw from the likeliest tokens whose probabilities sum to N; 1 or 0: off, from all", number(0, 1));
  add("--top-k,--top_k", s.top_k, "Draw from the N likeliest tokens; 0: off, from all", whole_number(0));
  add("--min-p,--min_p", s.min_p, "Draw from tokens at least N times as likely as the likeliest; 0: off",
      number(0, 1));
  add("--repeat-penalty,--repeat_penalty", s.repeat_penalty, "Make recent tokens less likely; 1: off",
      number_above_0(1e9));
  add("--repeat-last-n,--repeat_last_n", s.repeat_last_n, "How many tokens are recent; -1: all",
      whole_number(-1, kMostInt, "all"));
  sub.add_option_function<std::string>(
         "-s,--seed", [&seed](const std::string& text) { seed.seed = parse_seed(text); },
         "Seed of the draws; -1, as any number below 0, and by default: the clock's, which is told")
      ->type_name("N")
      ->group(kGroup);
}

constexpr const char* kModelGroup = "Model";

void add_model_options(CLI::App& sub, TextRequest& r) {
  sub.add_option("-z,--tokenizer", r.tokenizer,
                 "tokenizer.bin; default: what a GGUF file has inside, or the one beside the model")
      ->type_name("FILE")
      ->group(kModelGroup);
  sub.add_option("-c,--ctx-size,--ctx_size", r.context, "Context in tokens; 0, and by default: the model's")
      ->transform(whole_number(0))
      ->group(kModelGroup);
  sub.add_flag("--mlock", r.mlock, "Lock the model in memory, so that it is never written to a swap file")
      ->group(kModelGroup);
}

void add_prompt_part(CLI::App& sub, int& part) {
  sub.add_option("-b,--batch-size,--batch_size", part,
                 "Feed a prompt this many tokens at a time; Ctrl-C waits for no more than them")
      ->transform(whole_number(1))
      ->capture_default_str()
      ->group(kModelGroup);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Of the letter behind a backslash; none where it has no meaning.
std::optional<char> escape(char letter) {
  switch (letter) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\'':
    case '"':
    case '\\':
      return letter;
    default:
      return std::nullopt;
  }
}

}  // namespace

void add_generation_options(CLI::App& sub, TextRequest& r, SeedOption& seed) {
  sub.add_flag("-e,--escape", r.escape,
               R"(Read \n, \t and \x0A in -p and -r as the characters that they name)");
  sub.add_flag("--ignore-eos,--ignore_eos", r.generation.ends.ignored,
               "Never choose a token that ends the text");
  add_engine_options(sub, r);
  add_prompt_part(sub, r.generation.prompt_part);
  add_sampling(sub, r.sampler, seed);
  add_drafts(sub, r.drafts);
  add_tune(sub, r.tune);
  sub.add_flag("-v,--verbose", seed.verbose, "Tell more on standard error");
}

void add_engine_options(CLI::App& sub, TextRequest& r) {
  add_model_options(sub, r);
  add_threads(sub, r.threads);
  add_isa(sub, r.isa, "Instruction tier; default: the fastest of this CPU");
  add_precision(sub, r.precision);
  add_packed(sub, r.packed);
  add_inspection(sub, r.inspection);
  add_sandbox(sub, r.sandbox);
}

void finish_generation_options(TextRequest& request, const SeedOption& seed) {
  if (seed.verbose) spdlog::set_level(spdlog::level::debug);
  if (request.sampler.top_p == 0) request.sampler.top_p = 1;  // llama2.c's way to say "off"
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  request.sampler.seed = seed.seed.value_or(static_cast<std::uint64_t>(now));
}

void add_token_limit(CLI::App& sub, int& limit, const std::string& text) {
  sub.add_option("-n,--n-predict,--n_predict", limit, text)
      ->transform(whole_number(-2, kMostInt, "-1 and -2: to the context's end"));
}

std::string with_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escapes = text[i] == '\\' && i + 1 < text.size();
    if (const auto character = escapes ? escape(text[i + 1]) : std::nullopt) {
      out += *character;
      ++i;
    } else if (escapes && text[i + 1] == 'x' && i + 3 < text.size() && hex_digit(text[i + 2]) >= 0 &&
               hex_digit(text[i + 3]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace llamajit::cli
