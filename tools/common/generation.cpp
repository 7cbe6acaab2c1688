#include "tools/common/generation.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/cpus.h"
#include "runtime/base/numbers.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/reply_stream.h"
#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/json_schema.h"
#include "tools/common/cli.h"
#include "tools/common/layers_text.h"
#include "tools/common/model_input.h"
#include "tools/common/ranks.h"
#include "tools/common/sandboxed.h"
#include "tools/common/signals.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

std::atomic<bool> interrupted{false};

// While it lives, the first Ctrl-C asks the generation to stop; a second one ends the program. A SIGINT that is ignored
// stays so.
class InterruptGuard {
 public:
  InterruptGuard() {
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = true; };
    // Restarting, so that a write that waits for a slow reader is not taken for a failed one.
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    sigaction(SIGINT, is_ignored(SIGINT) ? nullptr : &action, &before_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_ {};
};

void log_result(const Generation& result, const Engine& engine) {
  spdlog::info("stopped: {}", to_string(result.reason));
  spdlog::info(
      "prompt {}, {:.1f} tok/s; generated {}, {:.1f} tok/s; {} kernels, {} bytes, emitted in "
      "{:.2f} ms",
      counted(result.prompt_tokens, "token"), rate(result.prompt_tokens, result.prompt_seconds),
      counted(result.generated_tokens, "token"), rate(result.generated_tokens, result.generation_seconds),
      engine.code().kernels().size(), engine.code().code_bytes(), engine.code().emit_ms());
}

// One token at least, as a text has to begin with something.
std::vector<TokenId> encode_prompt(const TextRequest& request, const Tokenizer& tokenizer) {
  std::vector<TokenId> ids = tokenizer.encode(
      request.prompt, {.eos = false, .special = request.special, .normalize = request.normalize});
  if (ids.empty()) ids.push_back(tokenizer.vocab().special().bos);
  if (ids.front() < 0) {
    throw std::runtime_error(
        "prompt: expected text, as the tokenizer has no token that begins one; found none");
  }
  return ids;
}

// What the text is held to; nothing for any text.
std::shared_ptr<const Grammar> requested_grammar(const TextRequest& request) {
  if (request.grammar) return parse_gbnf(read_source(*request.grammar), *request.grammar);
  if (request.json_schema) return parse_json_schema(read_source(*request.json_schema), *request.json_schema);
  return nullptr;
}

void write_prompt(const TextRequest& request) {
  const bool color = request.color && isatty(STDOUT_FILENO) != 0;
  write_out(color ? fmt::format("\x1B[33m{}\x1B[0m", request.prompt) : request.prompt);
}

}  // namespace

EngineOptions engine_options(const TextRequest& request, const ModelFile& file,
                             const jit::IsaChoice& choice) {
  return {.isa = choice.isa,
          .threads = request.threads,
          .context = request.context,
          .precision = request.precision,
          .tuning = remembered_tuning(choice.isa, request.threads),
          .publication = publication_options(request.inspection),
          .packed = find_packed(request.packed, file, request.precision)};
}

void log_loaded(const TextRequest& request, const ModelFile& file, const Engine& engine,
                const std::string& why) {
  const Config& c = file.config;
  const std::string experts = experts_text(c), kinds = layer_kinds_text(c);
  const auto numbers = [&](auto number) {
    return number_of_layers(c, number, [](int n) { return fmt::to_string(n); });
  };
  spdlog::info("{}: {}, dim {}, hidden {}, {} layers{}, {} heads ({} K/V){}, vocabulary {}, context {}",
               request.model, file.file_format, c.dim, numbers(&LayerShape::hidden_dim), c.n_layers,
               kinds.empty() ? "" : fmt::format(" ({})", kinds), numbers(&LayerShape::n_heads),
               numbers(&LayerShape::n_kv_heads), experts.empty() ? "" : fmt::format(", experts {}", experts),
               c.vocab_size, engine.context());
  spdlog::info("tier {} ({}), {} threads; {:.1f} MiB of weights {} in {:.1f} ms",
               to_string(engine.code().isa().tier), why, engine.threads(),
               static_cast<double>(engine.weights().bytes()) / (1 << 20),
               engine.weights().is_mapped() ? "mapped" : "packed", engine.pack_ms());
  warn_of_crowding(engine.threads());
  if (request.sampler.temperature > 0) spdlog::info("seed {}", request.sampler.seed);
  log_publication(engine.publication());
  for (const jit::KernelInfo& kernel : engine.code().kernels()) {
    spdlog::debug("kernel {}: {} bytes", kernel.name, kernel.size);
  }
}

void log_drafts(const DraftCounts& counts, int tokens) {
  spdlog::info("drafts: {} guessed, {} of them right ({:.0f}%); {:.2f} tokens a step",
               counted(counts.drafted, "token"), counts.accepted,
               counts.drafted > 0 ? 100.0 * counts.accepted / counts.drafted : 0.0,
               static_cast<double>(tokens) / std::max(counts.steps, 1));
}

void lock_memory() {
  if (mlockall(MCL_CURRENT) == 0) return;
  spdlog::warn("--mlock: {}; the model is not locked in memory (ulimit -l is the limit)",
               std::strerror(errno));
}

int default_threads() {
  return cpus_at_once();
}

void warn_of_crowding(int threads) {
  const int cpus = default_threads();
  if (threads <= cpus) return;
  spdlog::warn("-t {}: this process has {} CPU{}; more threads than that wait for one another and are slower",
               threads, cpus, cpus == 1 ? "" : "s");
}

int generate_text(const TextRequest& request) {
  const jit::IsaChoice choice = jit::choose_isa(request.isa);
  // Options and small files first: their errors should not wait for a large model.
  Engine* engine_for_sampler = nullptr;
  Sampler sampler(request.sampler,
                  [&](std::span<float> x, float scale) { engine_for_sampler->softmax(x, scale); });
  const std::shared_ptr<const Grammar> grammar = requested_grammar(request);
  const auto opened = open_model_and_tokenizer(request.model, request.tokenizer);
  const ModelFile& file = opened.model;
  refuse_encoder(file);
  const Tokenizer& tokenizer = *opened.tokenizer;
  const std::vector<TokenId> prompt = encode_prompt(request, tokenizer);

  Engine engine(file, on_ranks(engine_options(request, file, choice), file));
  keep_packed(request.packed, file, request.precision, engine);
  engine_for_sampler = &engine;
  check_fits(prompt, engine);  // before anything is printed
  if (request.mlock) lock_memory();
  if (request.tune) tune_and_remember(engine);
  log_loaded(request, file, engine, choice.why);

  const InterruptGuard guard;
  GenerationOptions options = request.generation;
  options.cancel = &interrupted;
  options.ends = ends_of(tokenizer.vocab().special(), request.generation.ends.ignored);
  std::optional<Constraint> constraint;
  if (grammar) {
    constraint.emplace(grammar, std::make_shared<const TokenTrie>(tokenizer.vocab()));
    options.constraint = &*constraint;
  }
  std::optional<Drafts> drafts;
  std::unique_ptr<Speculation> speculation;
  if (request.drafts.any()) {
    drafts.emplace(request.drafts, engine_options(request, file, choice), engine, opened);
    speculation = drafts->begin_text();
    options.drafts = speculation.get();
  }
  if (can_be_sandboxed(request.sandbox, publication_options(request.inspection))) enter_sandbox({});
  if (request.echo) write_prompt(request);
  ReplyStream characters(request.stops);
  options.complete = [&] { return characters.stopped(); };
  TokenId previous = prompt.back();
  const Generation result = generate(engine, sampler, prompt, options, [&](TokenId token) {
    write_out(characters.push(tokenizer.decode(previous, token)));
    previous = token;
  });
  write_out(characters.finish());
  if (isatty(STDOUT_FILENO) != 0) write_out("\n");  // for the shell's prompt; a pipe gets the text alone
  log_result(result, engine);
  if (speculation) log_drafts(speculation->counts(), result.generated_tokens);
  return result.reason == StopReason::cancelled ? kInterrupted : kOk;
}

}  // namespace llamajit::cli
