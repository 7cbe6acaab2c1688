// llamajit serve: answers requests over HTTP.
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "jit/inspect/sha256.h"
#include "runtime/base/file_sample.h"
#include "tools/commands/chat_template_options.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation_options.h"
#include "tools/common/model_input.h"
#include "tools/common/ranks.h"
#include "tools/common/sandboxed.h"
#include "tools/common/tune_cache.h"
#include "tools/serve/http_server.h"
#include "tools/serve/readers.h"
#include "tools/serve/router.h"

namespace llamajit::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kReaders = 4;

struct ServeOptions {
  TextRequest request;
  TemplateOptions how_written;
  std::string host = "127.0.0.1";
  int port = 8080;
  int slots = 4;
  int cache_tokens = 0;
  int max_step_ms = 250;
  int most_waiting = 256;
  int most_connections = 512;
  int most_body_mib = 16;
  std::optional<std::string> key_file;
  std::optional<std::string> alias;
  std::vector<std::string> origins;
  std::optional<Pooling> pooling;
  bool verbose = false;
};

// As many texts are kept for others that begin alike as are at work.
int sequences(const ServeOptions& options) {
  return 2 * options.slots;
}

// The model's, or as much of it as lets all texts fit into half of the memory.
int context_that_fits(const ServeOptions& options, const Config& config) {
  const auto type = options.request.precision.kv_type.value_or(jit::ElementType::f16);
  int context = config.seq_len;
  const auto fits = [&] {
    const auto bytes = static_cast<std::size_t>(context_bytes(config, context, type, 512));
    return bytes * static_cast<std::size_t>(sequences(options)) <= physical_memory() / 2;
  };
  while (context > 512 && !fits()) context /= 2;
  return context;
}

void check_cache_holds(int cache_tokens, int context) {
  if (cache_tokens >= context) return;
  throw std::invalid_argument(fmt::format(
      "--cache-tokens: expected {} at least, the context of one text (-c), found {}", context, cache_tokens));
}

std::int64_t last_change(const std::string& path) {
  const auto time = std::chrono::file_clock::to_sys(fs::last_write_time(path));
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Of the model's file and of what else the bits depend on.
std::string fingerprint(const ServeOptions& options, const ModelFile& file,
                        const ChatTemplate& chat_template) {
  std::string of = fmt::format("{} ", LLAMAJIT_VERSION);
  for (const MappedFile& part : file.parts) of += file_sample(part.bytes());
  if (options.request.tokenizer) of += file_sample(MappedFile(*options.request.tokenizer).bytes());
  of += chat_template.source();
  for (const std::string& argument : options.how_written.template_arguments) of += '\0' + argument;
  const Precision& precision = options.request.precision;
  of += fmt::format(" {} {}", precision.kv_type ? static_cast<int>(*precision.kv_type) : -1,
                    static_cast<int>(precision.bf16));
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(of.data());
  return "llamajit-" + jit::inspect::sha256({bytes, of.size()}).substr(0, 12);
}

std::vector<std::string> aliases(const std::string& name) {
  return {name + ":latest", "default"};
}

void warn_of_openness(const ServeOptions& options) {
  const bool loopback =
      options.host == "localhost" || options.host == "::1" || options.host.starts_with("127.");
  if (loopback || options.key_file) return;
  spdlog::warn(
      "--host {}: whoever reaches this machine can use the server; --api-key-file names keys to ask for",
      options.host);
}

serve::HttpLimits limits_of(const ServeOptions& options) {
  serve::HttpLimits limits;
  limits.body_bytes = static_cast<std::size_t>(options.most_body_mib) << 20;
  limits.connections = static_cast<std::size_t>(options.most_connections);
  return limits;
}

serve::SchedulerOptions scheduler_options(const ServeOptions& options, const EngineOptions& for_engine,
                                          const ModelAndTokenizer& opened) {
  serve::SchedulerOptions result{.slots = options.slots,
                                 .most_step_ms = static_cast<double>(options.max_step_ms),
                                 .most_waiting = static_cast<std::size_t>(options.most_waiting)};
  const DraftOptions& drafts = options.request.drafts;
  if (drafts.any()) {
    result.make_drafts = [&](const Engine& engine) {
      return std::make_unique<Drafts>(drafts, for_engine, engine, opened);
    };
  }
  return result;
}

int serve_model(ServeOptions& options) {
  if (options.verbose) spdlog::set_level(spdlog::level::debug);
  TextRequest& request = options.request;
  request.model = named_or_bundled(request.model);
  const jit::IsaChoice choice = jit::choose_isa(request.isa);
  serve::RouterOptions for_router{.keys = {}, .origins = options.origins};
  if (options.key_file) for_router.keys = serve::ApiKeys::read(*options.key_file);
  warn_of_openness(options);

  // The address first: a model takes longer. Requests that come while it is loaded wait.
  std::unique_ptr<serve::Router> router;
  serve::HttpServer server(options.host, static_cast<std::uint16_t>(options.port), limits_of(options),
                           [&](serve::HttpRequest asked, const serve::Exchange& exchange) {
                             router->handle(std::move(asked), exchange);
                           });
  const auto opened = open_model_and_tokenizer(request.model, request.tokenizer);
  const ChatTemplate chat_template = chosen_template(options.how_written, request.model, opened);
  if (request.context == 0) request.context = context_that_fits(options, opened.model.config);
  EngineOptions for_engine = engine_options(request, opened.model, choice);
  for_engine.sequences = sequences(options);
  if (options.cache_tokens > 0) {
    check_cache_holds(options.cache_tokens, request.context);
    for_engine.cache_positions = options.cache_tokens;
  }
  serve::Scheduler scheduler(opened.model, on_ranks(for_engine, opened.model),
                             opened.tokenizer->vocab().special(),
                             scheduler_options(options, for_engine, opened));
  keep_packed(request.packed, opened.model, request.precision, scheduler.engine());
  if (request.mlock) lock_memory();
  log_loaded(request, opened.model, scheduler.engine(), choice.why);
  const std::string name = options.alias.value_or(fs::path(request.model).stem().string());
  serve::Service service{
      .model = name,
      .aliases = aliases(name),
      .created = last_change(request.model),
      .file = opened.model,
      .tokenizer = *opened.tokenizer,
      .chat_template = chat_template,
      .scheduler = scheduler,
      .fingerprint = fingerprint(options, opened.model, chat_template),
      .tool_form = find_tool_form(chat_template, opened.tokenizer.get()),
      .grammars = serve::GrammarCache(opened.tokenizer->vocab()),
      .pooling = options.pooling.value_or(opened.model.config.pooling.value_or(Pooling::mean))};
  serve::Readers readers(kReaders);
  router = std::make_unique<serve::Router>(
      service, std::move(for_router), [&](std::function<void()> read) { readers.post(std::move(read)); });
  if (can_be_sandboxed(request.sandbox, publication_options(request.inspection))) {
    enter_sandbox({.folders = {}, .serves = true});
  }
  const auto begins = [&] {
    const bool is_v6 = options.host.find(':') != std::string::npos;
    const std::string host = is_v6 ? fmt::format("[{}]", options.host) : options.host;
    spdlog::info("serving {} at http://{}:{}; {} texts at once, of {} tokens at most", name, host,
                 server.port(), options.slots, request.context);
  };
  const auto draining = [&] {
    spdlog::info("ending: requests at work are finished; once more ends them, too");
    scheduler.drain();
  };
  server.run(begins, draining);
  return kOk;
}

void add_network(CLI::App& sub, ServeOptions& o) {
  constexpr const char* kGroup = "Network";
  const auto add = [&](const char* names, auto& value, const char* text, const CLI::Validator& check) {
    sub.add_option(names, value, text)->transform(check)->capture_default_str()->group(kGroup);
  };
  sub.add_option("--host", o.host, "Address to listen at; 0.0.0.0: all of this machine's")
      ->type_name("ADDRESS")
      ->check(not_empty("an address to listen at"))  // nothing would be all of the machine's
      ->capture_default_str()
      ->group(kGroup);
  add("--port", o.port, "Port to listen at; 0: one that is free", whole_number(0, 65535));
  sub.add_option("--api-key-file", o.key_file, "A key in each line: requests must have one of them (Bearer)")
      ->type_name("FILE")
      ->group(kGroup);
  sub.add_option(
         "--cors", o.origins,
         "Origin of web pages that may ask, besides the server's own (http://localhost:3000); *: any. May "
         "be given more than once")
      ->allow_extra_args(false)
      ->type_name("ORIGIN")
      ->check(not_empty("an origin or *"))
      ->group(kGroup);
  add("--max-connections", o.most_connections, "Connections at once", whole_number(1, 100000));
  add("--max-body", o.most_body_mib, "MiB of a request at the most", whole_number(1, 1024));
}

void add_scheduling(CLI::App& sub, ServeOptions& o) {
  constexpr const char* kGroup = "Scheduling";
  const auto add = [&](const char* names, auto& value, const char* text, const CLI::Validator& check) {
    sub.add_option(names, value, text)->transform(check)->capture_default_str()->group(kGroup);
  };
  add("--parallel", o.slots, "Texts at once; others wait", whole_number(1, 256));
  sub.add_option(
         "--cache-tokens", o.cache_tokens,
         "Tokens that the KV cache holds for all texts together; one that may become too long (its prompt "
         "and max_tokens) waits; default: enough for all")
      ->transform(whole_number(1, 1 << 30))
      ->group(kGroup);
  add("--max-step-ms", o.max_step_ms,
      "Milliseconds of a step: pieces of prompts beside texts that are being written are as long as that "
      "allows",
      whole_number(1, 100000));
  add("--max-waiting", o.most_waiting, "Requests that may wait; more are refused (429)",
      whole_number(1, 1000000));
}

}  // namespace

void add_serve(CLI::App& app, Command& command) {
  auto o = std::make_shared<ServeOptions>();
  TextRequest& r = o->request;
  CLI::App* sub = app.add_subcommand(
      "serve", "Answer requests over HTTP, as OpenAI's, Anthropic's and Ollama's APIs have them");
  add_model(*sub, r.model, kModelText);
  sub->add_option("--alias", o->alias,
                  "What clients call the model; default: its file's name without the ending")
      ->type_name("NAME")
      ->check(not_empty("a name"));
  add_network(*sub, *o);
  add_scheduling(*sub, *o);
  add_template_options(*sub, o->how_written);
  add_pooling(*sub, o->pooling);
  add_engine_options(*sub, r);
  add_drafts(*sub, r.drafts);
  sub->add_flag("-v,--verbose", o->verbose, "Tell more on standard error");
  sub->callback([o, &command] { command = [o] { return serve_model(*o); }; });
}

}  // namespace llamajit::cli
