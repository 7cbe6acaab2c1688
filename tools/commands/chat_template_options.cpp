#include "tools/commands/chat_template_options.h"

#include <filesystem>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/jinja/json_value.h"
#include "tokenizer/utf8.h"
#include "tools/common/cli.h"

namespace llamajit::cli {
namespace {

// The model's own; by its vocabulary where it has none, or one that writes nothing.
ChatTemplate template_of(const std::string& model, const ModelAndTokenizer& opened) {
  if (!opened.chat_template || is_blank_template(*opened.chat_template)) {
    return ChatTemplate(guess_template(*opened.tokenizer));
  }
  return {*opened.chat_template, model + ": tokenizer.chat_template"};
}

ChatTemplate named_template(const std::string& name) {
  if (const NamedTemplate* named = find_named_template(name)) return ChatTemplate(*named);
  const bool is_jinja = name.find("{{") != std::string::npos || name.find("{%") != std::string::npos;
  if (is_jinja) return {name, "--template"};
  if (std::filesystem::exists(name)) return {read_source(name), name};
  std::vector<std::string_view> names;
  for (const NamedTemplate& named : named_templates()) names.push_back(named.name);
  throw std::invalid_argument(fmt::format("--template: expected a file, Jinja or one of {}, found '{}'",
                                          fmt::join(names, ", "), escaped(name)));
}

ChatTemplate template_without_variables(const TemplateOptions& options, const std::string& model,
                                        const ModelAndTokenizer& opened) {
  if (options.chat_template_file) {
    std::string source = read_source(*options.chat_template_file);
    if (!is_blank_template(source)) return {std::move(source), *options.chat_template_file};
  }
  if (options.chat_template && !is_blank_template(*options.chat_template)) {
    return named_template(*options.chat_template);
  }
  return template_of(model, opened);
}

void define_tools(ChatTemplate& chat_template, const std::string& path) {
  jinja::Value tools = jinja::parse_json(read_source(path), path);
  if (tools.list() == nullptr) {
    throw std::runtime_error(fmt::format("{}: expected a list of tools, found {}", path, tools.kind()));
  }
  chat_template.define("tools", std::move(tools));
}

// What the rendering itself says can't be said otherwise.
void define_argument(ChatTemplate& chat_template, const std::string& argument) {
  const std::size_t equals = argument.find('=');
  const std::string name = argument.substr(0, equals);
  if (equals == std::string::npos || name.empty()) {
    throw std::invalid_argument(
        fmt::format("--template-arg: expected NAME=VALUE, found '{}'", escaped(argument)));
  }
  if (name == "messages")
    throw std::invalid_argument("--template-arg: expected another name than 'messages'");
  chat_template.define(name, jinja::json_or_text(std::string_view(argument).substr(equals + 1)));
}

}  // namespace

void add_template_options(CLI::App& sub, TemplateOptions& o) {
  auto* named = sub.add_option(
      "--template,--chat-template", o.chat_template,
      "How messages are written: a name (alpaca, koalpaca, koalpaca-polyglot, llama2, llama3, "
      "chatml, mistral, gemma, phi3, zephyr), a file in Jinja, or Jinja itself; default: the model's own");
  named->group(kTemplateGroup);
  sub.add_option("--chat-template-file", o.chat_template_file, "The same, from a file in Jinja")
      ->type_name("FILE")
      ->excludes(named)
      ->group(kTemplateGroup);
  sub.add_option("--template-arg,--template_arg", o.template_arguments,
                 "NAME=VALUE, a variable for the template (enable_thinking=false); the value is JSON, else "
                 "text. May be given more than once")
      ->allow_extra_args(false)
      ->group(kTemplateGroup);
}

ChatTemplate chosen_template(const TemplateOptions& options, const std::string& model,
                             const ModelAndTokenizer& opened) {
  ChatTemplate chosen = template_without_variables(options, model, opened);
  if (options.tools) define_tools(chosen, *options.tools);
  for (const std::string& argument : options.template_arguments) define_argument(chosen, argument);
  return chosen;
}

}  // namespace llamajit::cli
