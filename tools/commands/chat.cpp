// llamajit chat: talk with a model.
#include "tools/commands/chat.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "runtime/chat/conversation.h"
#include "tools/commands/chat_loop.h"
#include "tools/common/bundled_models.h"
#include "tools/common/model_input.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

// Where one of them is none, lines are a script, and replies the only output.
bool is_terminal() {
  return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

// no-color.org: set and not empty means none, unless the command line asks.
bool wants_color(const ChatOptions& options) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  const bool able = is_terminal() && term != nullptr && std::string_view(term) != "dumb";
  return able && !options.no_color && (options.color || no_color == nullptr || *no_color == '\0');
}

ChatTemplate chosen_template(const ChatOptions& options, const ModelAndTokenizer& opened) {
  if (!options.chat_template) {
    if (!opened.chat_template) return ChatTemplate(guess_template(*opened.tokenizer));
    return {*opened.chat_template, options.request.model + ": tokenizer.chat_template"};
  }
  const std::string& name = *options.chat_template;
  if (const NamedTemplate* named = find_named_template(name)) return ChatTemplate(*named);
  if (std::filesystem::exists(name)) return {read_file(name), name};
  std::vector<std::string_view> names;
  for (const NamedTemplate& named : named_templates()) names.push_back(named.name);
  throw std::invalid_argument(
      fmt::format("--template: expected a file or one of {}, found '{}'", fmt::join(names, ", "), name));
}

ConversationOptions conversation_options(const ChatOptions& options, const Signals& signals) {
  const GenerationOptions& generation = options.request.generation;
  ConversationOptions c;
  c.stops = options.reverse_prompts;
  c.max_tokens = generation.max_tokens;
  c.ignore_eos = generation.ignore_eos;
  c.prompt_part = generation.prompt_part;
  c.shift = options.context_shift;
  c.cancel = &signals.interrupted();
  return c;
}

std::optional<std::string> first_question(const ChatOptions& options) {
  if (options.prompt && options.request.escape) return with_escapes(*options.prompt);
  if (options.prompt || !options.prompt_file) return options.prompt;
  std::string text = read_file(*options.prompt_file);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

int converse(const ChatOptions& options, Conversation& conversation, const SessionModel& model,
             Signals& signals) {
  ChatLoop loop(conversation, model, signals, {is_terminal(), wants_color(options)});
  if (options.session) {
    if (std::filesystem::exists(*options.session)) loop.load(*options.session);
    loop.keep_session(*options.session);
  }
  const auto question = first_question(options);
  if (options.single_turn) {
    if (question) return loop.say(*question);
    return loop.say(read_standard_input("the question"));
  }
  if (question) {
    const int code = loop.say(*question);
    if (code != kOk && !is_terminal()) return code;
  }
  const auto input = is_terminal() ? edit_lines(signals, wants_color(options)) : read_lines(signals);
  return loop.run(*input);
}

}  // namespace

int chat(ChatOptions& options) {
  TextRequest& request = options.request;
  finish_generation_options(request, options.seed);
  request.model = named_or_bundled(request.model);
  const jit::IsaChoice choice = jit::choose_isa(request.isa);
  Engine* engine_for_sampler = nullptr;
  Sampler sampler(request.sampler,
                  [&](std::span<float> x, float scale) { engine_for_sampler->softmax(x, scale); });
  const auto opened = open_model_and_tokenizer(request.model, request.tokenizer);
  ChatTemplate chat_template = chosen_template(options, opened);
  const SessionModel model = describe_for_session(opened.model, opened.tokenizer->vocab(), chat_template);
  Engine engine(opened.model, engine_options(request, choice));
  engine_for_sampler = &engine;
  if (request.mlock) lock_memory();
  if (request.tune) tune_and_remember(engine);
  log_loaded(request, opened.model, engine, choice.why);

  Signals signals;
  Conversation conversation(engine, *opened.tokenizer, sampler, std::move(chat_template),
                            conversation_options(options, signals));
  conversation.set_system(options.system);
  return converse(options, conversation, model, signals);
}

void add_chat(CLI::App& app, Command& command) {
  auto o = std::make_shared<ChatOptions>();
  TextRequest& r = o->request;
  r.sampler = {.temperature = 0.7F, .top_p = 0.95F, .top_k = 40, .repeat_penalty = 1.1F};
  CLI::App* sub = app.add_subcommand("chat", "Talk with a model");
  add_model(*sub, r.model, kModelText);
  auto* prompt = sub->add_option("-p,--prompt", o->prompt, "The first question");
  sub->add_option("-f,--file", o->prompt_file, "Read the first question from a file")
      ->type_name("FILE")
      ->excludes(prompt);
  sub->add_option("--system", o->system, "The system message: what the model is told before the questions");
  sub->add_option("--template", o->chat_template,
                  "How messages are written: a name (alpaca, koalpaca, koalpaca-polyglot, llama2, llama3, "
                  "chatml, mistral, gemma, phi3, zephyr) or a file in Jinja; default: the model's own");
  sub->add_flag("--single-turn,--single_turn", o->single_turn, "One question, one reply");
  add_token_limit(*sub, r.generation.max_tokens,
                  "Tokens of a reply at most; -1, and by default: to the context's end");
  sub->add_option("-r,--reverse-prompt,--reverse_prompt", o->reverse_prompts,
                  "Text that ends a reply; may be given more than once")
      ->allow_extra_args(false);
  sub->add_flag("--context-shift,--context_shift", o->context_shift,
                "When the context is full, forget the oldest messages instead of stopping");
  sub->add_option("--session", o->session, "Go on with this file's conversation, and keep it there")
      ->type_name("FILE");
  auto* color = sub->add_flag("--color", o->color, "Colour on a terminal, in spite of NO_COLOR");
  sub->add_flag("--no-color,--no_color", o->no_color, "No colour")->excludes(color);
  sub->add_flag("-i,--interactive")->description("What it does anyway");
  add_generation_options(*sub, r, o->seed);
  sub->callback([o, &command] { command = [o] { return chat(*o); }; });
}

}  // namespace llamajit::cli
