// llamajit chat: talk with a model.
#include "tools/commands/chat.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/file_replacement.h"
#include "runtime/chat/conversation.h"
#include "tools/commands/chat_loop.h"
#include "tools/common/bundled_models.h"
#include "tools/common/model_input.h"
#include "tools/common/ranks.h"
#include "tools/common/sandboxed.h"
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

// A prompt that is kept costs the pages of its windows.
bool keeps_prompts(const ModelFile& file) {
  return file.config.most(&LayerShape::window) > 0;
}

ConversationOptions conversation_options(const ChatOptions& options, const ModelFile& file,
                                         const Signals& signals) {
  const GenerationOptions& generation = options.request.generation;
  ConversationOptions c;
  c.stops = options.reverse_prompts;
  c.max_tokens = generation.max_tokens;
  c.ignore_eos = generation.ends.ignored;
  c.prompt_part = generation.prompt_part;
  c.keeps_prompts = keeps_prompts(file);
  c.normalize = options.request.normalize;
  c.shift = options.context_shift;
  c.cancel = &signals.interrupted();
  return c;
}

std::optional<std::string> first_question(const ChatOptions& options) {
  if (options.prompt && options.request.escape) return with_escapes(*options.prompt);
  if (options.prompt || !options.prompt_file) return options.prompt;
  return without_last_newline(read_file(*options.prompt_file));
}

// A conversation that could not be kept is told of before it begins.
void check_session(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path file = written_file(path);
  if (fs::is_directory(file))
    throw std::runtime_error(fmt::format("{}: expected a file, found a folder", path));
  const fs::path folder = fs::absolute(file).parent_path();
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw std::runtime_error(fmt::format("{}: expected a folder that can be written to: {}: {}", path,
                                         folder.string(), std::strerror(errno)));
  }
}

// What the model would be given for the first question, byte for byte.
int show_prompt(const ChatOptions& options, const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  std::vector<Message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  const auto question = first_question(options);
  messages.push_back({"user", question ? *question : without_last_newline(read_standard_input())});
  write_out(render_chat(chat_template, messages, tokenizer));
  return kOk;
}

// Also where the template can't write a conversation like this: then the first question will say so.
void warn_of_template(const ChatOptions& options, const ChatTemplate& chat_template,
                      const Tokenizer& tokenizer) {
  std::vector<Message> before;
  if (!options.system.empty()) before.push_back({"system", options.system});
  try {
    if (shows_questions(chat_template, before, tokenizer)) return;
  } catch (const std::runtime_error&) {
    return;
  }
  spdlog::warn(
      "{}: the template does not write the question, so that the model will not see it; --template takes "
      "another one",
      chat_template.name());
}

// Those that the sandbox leaves.
std::vector<std::string> folders_for(const ChatOptions& options) {
  std::vector<std::string> folders;
  for (const std::string& folder : options.folders) folders.push_back(real_folder(folder));
  if (options.session) folders.push_back(folder_of(*options.session));
  if (is_terminal() && !options.single_turn) {
    if (const std::optional<std::string> history = make_history_folder()) folders.push_back(*history);
  }
  return folders;
}

int converse(const ChatOptions& options, Conversation& conversation, const SessionModel& model,
             Signals& signals) {
  ChatStyle style{.terminal = is_terminal(),
                  .color = wants_color(options),
                  .shift = options.context_shift,
                  .quiet = !spdlog::should_log(spdlog::level::info),
                  .single_turn = options.single_turn,
                  .folders = {}};
  const bool sandboxed =
      can_be_sandboxed(options.request.sandbox, publication_options(options.request.inspection));
  if (sandboxed) style.folders = folders_for(options);
  ChatLoop loop(conversation, model, signals, style);
  if (options.session) {
    if (std::filesystem::exists(*options.session)) loop.load(*options.session);
    loop.keep_session(*options.session);
  }
  const auto question = first_question(options);
  std::unique_ptr<ChatInput> input;
  if (!options.single_turn) {
    input = is_terminal() ? edit_lines(signals, wants_color(options), ChatLoop::command_names())
                          : read_lines(signals);
  }
  if (sandboxed) enter_sandbox({.folders = *style.folders});
  if (is_terminal() && !options.single_turn) loop.greet(options.request.model);
  if (options.single_turn) {
    if (question) return loop.say(*question);
    return loop.say(without_last_newline(read_standard_input("the question")));
  }
  if (question) {
    const int code = loop.say(*question);
    if (code != kOk && !is_terminal()) return code;
  }
  return loop.run(*input);
}

void add_conversation_options(CLI::App& sub, ChatOptions& o) {
  auto* prompt = sub.add_option("-p,--prompt", o.prompt, "The first question");
  sub.add_option("-f,--file", o.prompt_file, "Read the first question from a file")
      ->type_name("FILE")
      ->excludes(prompt);
  sub.add_option("--system", o.system, "The system message: what the model is told before the questions");
  sub.add_flag("--single-turn,--single_turn", o.single_turn, "One question, one reply");
  add_token_limit(sub, o.request.generation.max_tokens,
                  "Tokens of a reply at most; -1, and by default: to the context's end");
  sub.add_option("-r,--reverse-prompt,--reverse_prompt", o.reverse_prompts,
                 "Text that ends a reply; may be given more than once")
      ->allow_extra_args(false);
  sub.add_flag("--context-shift,--context_shift", o.context_shift,
               "When the context is full, forget the oldest messages instead of stopping");
  sub.add_option("--session", o.session, "Go on with this file's conversation, and keep it there")
      ->type_name("FILE");
  sub.add_option(
         "--files", o.folders,
         "Folder whose files /save and /load may use, beside that of --session; may be given more than once")
      ->allow_extra_args(false)
      ->type_name("FOLDER");
  add_no_normalize(sub, o.request.normalize);
}

void add_shown_template(CLI::App& sub, ChatOptions& o) {
  add_template_options(sub, o.how_written);
  sub.add_option("--tools", o.how_written.tools,
                 "A JSON file with the list of tools that the template is to describe")
      ->type_name("FILE")
      ->group(kTemplateGroup);
  sub.add_flag("--show-prompt", o.show_prompt,
               "Write what the model would be given for the first question to standard output, and end")
      ->group(kTemplateGroup);
}

void add_terminal_options(CLI::App& sub, ChatOptions& o) {
  constexpr const char* kGroup = "Terminal";
  auto* color = sub.add_flag("--color", o.color, "Colour on a terminal, in spite of NO_COLOR");
  color->group(kGroup);
  sub.add_flag("--no-color,--no_color", o.no_color, "No colour")->excludes(color)->group(kGroup);
  sub.add_flag("-i,--interactive")->description("What it does anyway")->group(kGroup);
}

}  // namespace

int chat(ChatOptions& options) {
  TextRequest& request = options.request;
  finish_generation_options(request, options.seed);
  request.model = named_or_bundled(request.model);
  const jit::IsaChoice choice = jit::choose_isa(request.isa);
  if (options.session) check_session(*options.session);
  Engine* engine_for_sampler = nullptr;
  Sampler sampler(request.sampler,
                  [&](std::span<float> x, float scale) { engine_for_sampler->softmax(x, scale); });
  const auto opened = open_model_and_tokenizer(request.model, request.tokenizer);
  refuse_encoder(opened.model);
  ChatTemplate chat_template = chosen_template(options.how_written, request.model, opened);
  if (options.show_prompt) return show_prompt(options, chat_template, *opened.tokenizer);
  warn_of_template(options, chat_template, *opened.tokenizer);
  const SessionModel model = describe_for_session(opened.model, opened.tokenizer->vocab(), chat_template);
  EngineOptions for_engine = engine_options(request, opened.model, choice);
  if (keeps_prompts(opened.model)) for_engine.sequences = 2;
  Engine engine(opened.model, on_ranks(for_engine, opened.model));
  keep_packed(request.packed, opened.model, request.precision, engine);
  engine_for_sampler = &engine;
  if (request.mlock) lock_memory();
  if (request.tune) tune_and_remember(engine);
  log_loaded(request, opened.model, engine, choice.why);

  Signals signals;
  ConversationOptions for_conversation = conversation_options(options, opened.model, signals);
  std::optional<Drafts> drafts;
  std::unique_ptr<Speculation> speculation;
  if (request.drafts.any()) {
    drafts.emplace(request.drafts, for_engine, engine, opened);
    speculation = drafts->begin_text();
    for_conversation.drafts = speculation.get();
  }
  Conversation conversation(engine, *opened.tokenizer, sampler, std::move(chat_template), for_conversation);
  conversation.set_system(options.system);
  return converse(options, conversation, model, signals);
}

void add_chat(CLI::App& app, Command& command) {
  auto o = std::make_shared<ChatOptions>();
  TextRequest& r = o->request;
  r.sampler = {.temperature = 0.7F, .top_p = 0.95F, .top_k = 40, .repeat_penalty = 1.1F};
  CLI::App* sub = app.add_subcommand("chat", "Talk with a model");
  add_model(*sub, r.model, kModelText);
  add_conversation_options(*sub, *o);
  add_shown_template(*sub, *o);
  add_terminal_options(*sub, *o);
  add_generation_options(*sub, r, o->seed);
  sub->callback([o, &command] { command = [o] { return chat(*o); }; });
}

}  // namespace llamajit::cli
