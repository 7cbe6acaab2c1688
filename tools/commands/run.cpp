// llamajit run: generate text.
#include <algorithm>
#include <memory>

#include "tools/commands/chat.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/generation_options.h"

namespace llamajit::cli {
namespace {

struct RunOptions {
  TextRequest request;
  SeedOption seed;
  std::optional<std::string> prompt;
  std::optional<std::string> prompt_file;
  bool no_echo = false;
  bool interactive = false;
};

// -p, else -f, else standard input.
std::string prompt_of(const RunOptions& options) {
  if (options.prompt) return options.request.escape ? with_escapes(*options.prompt) : *options.prompt;
  if (options.prompt_file) return without_last_newline(read_file(*options.prompt_file));
  return without_last_newline(read_standard_input("the prompt"));
}

// KoAlpaca.cpp's -i asks for a chat.
int run_chat(const RunOptions& options) {
  ChatOptions chat_options;
  chat_options.request = options.request;
  chat_options.seed = options.seed;
  chat_options.prompt = options.prompt;
  chat_options.prompt_file = options.prompt_file;
  chat_options.reverse_prompts = options.request.stops;
  chat_options.color = options.request.color;
  return chat(chat_options);
}

int run(RunOptions& options) {
  if (options.interactive) return run_chat(options);
  TextRequest& request = options.request;
  finish_generation_options(request, options.seed);
  request.model = named_or_bundled(request.model);
  request.echo = !options.no_echo;
  request.prompt = prompt_of(options);
  if (request.escape) std::ranges::transform(request.stops, request.stops.begin(), with_escapes);
  return generate_text(request);
}

}  // namespace

void add_run(CLI::App& app, Command& command) {
  auto o = std::make_shared<RunOptions>();
  TextRequest& r = o->request;
  CLI::App* sub = app.add_subcommand("run", "Generate text that goes on from a prompt");
  add_model(*sub, r.model, kModelText);
  auto* prompt =
      sub->add_option("-p,--prompt,PROMPT", o->prompt, "The prompt; may be empty. Default: standard input");
  sub->add_option("-f,--file", o->prompt_file, "Read the prompt from a file")
      ->type_name("FILE")
      ->excludes(prompt);
  add_token_limit(*sub, r.generation.max_tokens,
                  "Tokens to generate beyond the prompt; -1, and by default: to the context's end");
  sub->add_option("-r,--reverse-prompt,--reverse_prompt", r.stops,
                  "Text that ends the generation and is not printed; may be given more than once")
      ->allow_extra_args(false);
  auto* chats = sub->add_flag("-i,--interactive", o->interactive, "Chat instead: see llamajit chat");
  auto* grammar = sub->add_option("--grammar", r.grammar,
                                  "Hold the text to a grammar: a file in llama.cpp's notation, GBNF")
                      ->type_name("FILE")
                      ->excludes(chats);
  sub->add_option("--json-schema", r.json_schema,
                  "Hold the text to JSON that is valid by the schema in a file")
      ->type_name("FILE")
      ->excludes(chats)
      ->excludes(grammar);
  sub->add_flag("--color", r.color, "Print the prompt in colour on a terminal");
  sub->add_flag("!--no-special,!--no-parse-special", r.special,
                "Take the names of control tokens in the prompt for plain text");
  add_no_normalize(*sub, r.normalize);
  sub->add_flag("--no-echo", o->no_echo, "Leave the prompt out of the output");
  add_generation_options(*sub, r, o->seed);
  sub->callback([o, &command] { command = [o] { return run(*o); }; });
}

}  // namespace llamajit::cli
