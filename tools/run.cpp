// llamajit run: generate text.
#include <chrono>
#include <memory>

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/generation.h"

namespace llamajit::cli {
namespace {

struct RunOptions {
  TextRequest request;
  std::optional<std::string> prompt;
  std::optional<std::string> prompt_file;
  std::optional<std::uint64_t> seed;
  bool no_echo = false;
  bool verbose = false;
};

// A file's and a line's last newline is where they end, not what they say (llama.cpp has it so too).
std::string without_last_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// -p, else -f, else standard input; at a terminal, where nothing was typed yet, an empty prompt.
std::string prompt_of(const RunOptions& options) {
  if (options.prompt) return *options.prompt;
  if (options.prompt_file) return without_last_newline(read_file(*options.prompt_file));
  return isatty(STDIN_FILENO) != 0 ? std::string() : without_last_newline(read_standard_input());
}

int run(RunOptions& options) {
  if (options.verbose) spdlog::set_level(spdlog::level::debug);
  TextRequest& request = options.request;
  request.echo = !options.no_echo;
  request.prompt = prompt_of(options);
  if (request.sampler.top_p == 0) request.sampler.top_p = 1;  // llama2.c's way to say "off"
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  request.sampler.seed = options.seed.value_or(static_cast<std::uint64_t>(now));
  return generate_text(request);
}

}  // namespace

void add_run(CLI::App& app, Command& command) {
  auto o = std::make_shared<RunOptions>();
  TextRequest& r = o->request;
  r.threads = default_threads();
  CLI::App* sub = app.add_subcommand("run", "Generate text that goes on from a prompt");
  sub->add_option("MODEL", r.model, "A GGUF file (the first part of a split one), or a llama2.c checkpoint")
      ->required();
  sub->add_option("-z,--tokenizer", r.tokenizer,
                  "tokenizer.bin; default: what a GGUF file has inside, or the one beside the model");
  auto* prompt =
      sub->add_option("-p,--prompt", o->prompt, "The prompt; may be empty. Default: standard input");
  sub->add_option("-f,--file", o->prompt_file, "Read the prompt from a file")->excludes(prompt);
  sub->add_option("-n,--n-predict", r.generation.max_tokens,
                  "Tokens to generate beyond the prompt; default: to the context's end");
  sub->add_option("-c,--ctx-size", r.context, "Context in tokens; default: the model's")
      ->check(CLI::PositiveNumber);
  sub->add_option("-t,--threads", r.threads, "Threads")->check(CLI::Range(1, 1024))->capture_default_str();
  sub->add_option("--temp", r.sampler.temperature, "Temperature; 0 takes the most likely token")
      ->capture_default_str();
  sub->add_option("--top-p", r.sampler.top_p, "Draw from the likeliest tokens whose probabilities sum to P")
      ->capture_default_str();
  sub->add_option("--top-k", r.sampler.top_k, "Draw from the K likeliest tokens; 0: from all")
      ->capture_default_str();
  sub->add_option("--min-p", r.sampler.min_p, "Draw from tokens at least P times as likely as the likeliest")
      ->capture_default_str();
  sub->add_option("--repeat-penalty", r.sampler.repeat_penalty, "Make recent tokens less likely; 1: off")
      ->capture_default_str();
  sub->add_option("--repeat-last-n", r.sampler.repeat_last_n, "How many tokens are recent; -1: all")
      ->capture_default_str();
  sub->add_option("-s,--seed", o->seed, "Seed of the draws; default: from the clock");
  sub->add_option("--isa", r.isa,
                  "Instruction tier: scalar, avx2, avxvnni, avx512, avx512vnni; default: the best");
  add_kv_type(*sub, r.kv_type);
  add_inspection(*sub, r.inspection);
  add_tune(*sub, r.tune);
  sub->add_flag("--ignore-eos", r.generation.ignore_eos, "Never choose a token that ends the text");
  sub->add_flag("!--no-special,!--no-parse-special", r.special,
                "Take the names of control tokens in the prompt for plain text");
  sub->add_flag("--no-echo", o->no_echo, "Leave the prompt out of the output");
  sub->add_flag("-v,--verbose", o->verbose, "Tell more on standard error");
  sub->callback([o, &command] { command = [o] { return run(*o); }; });
}

}  // namespace llamajit::cli
