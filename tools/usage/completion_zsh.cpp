#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/completion.h"

namespace llamajit::cli {
namespace {

// A description or a name, where _arguments gives brackets, colons and backslashes a meaning.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("[]:\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// ":NAME:what to complete to"
std::string value_spec(std::string_view name, std::string_view value) {
  const auto action = [&]() -> std::string {
    switch (value_kind(value)) {
      case ValueKind::choices:
        return fmt::format("({})", fmt::join(choices_of(value), " "));
      case ValueKind::file:
        return "_files";
      case ValueKind::folder:
        return "_files -/";
      case ValueKind::model:
        return "_llamajit_models";
      case ValueKind::anything:
        break;
    }
    return " ";
  };
  return fmt::format(":{}:{}", plain(name), action());
}

std::string option_spec(const OptionEntry& entry) {
  const std::string text = fmt::format("[{}]", plain(entry.text));
  std::string value;
  if (!entry.value.empty()) {
    const bool choices = value_kind(entry.value) == ValueKind::choices;
    value = (entry.value_attached ? ":" : "") + value_spec(choices ? "value" : entry.value, entry.value);
  }
  std::string out;
  for (const std::string& name : entry.names) {
    // The other names are not offered once one was given.
    const std::string others = entry.repeatable ? "*" : fmt::format("({})", fmt::join(entry.names, " "));
    const std::string_view mark = entry.value_attached                       ? "=-"
                                  : name.starts_with("--") && !value.empty() ? "="
                                                                             : "";
    out +=
        fmt::format("        {} \\\n", in_quotes(fmt::format("{}{}{}{}{}", others, name, mark, text, value)));
  }
  return out;
}

std::string command_case(const CommandPage& page) {
  std::string out = fmt::format("    {})\n      _arguments -s \\\n", page.name);
  for (const OptionSection& section : page.sections) {
    for (const OptionEntry& entry : section.entries) out += option_spec(entry);
  }
  for (const WordEntry& word : page.words) {
    out += fmt::format("        {} \\\n",
                       in_quotes((word.repeatable ? "*" : "") + value_spec(word.name, word.value)));
  }
  return out + "        && return ;;\n";
}

constexpr std::string_view kZshScript = R"script(#compdef llamajit
# zsh completion for llamajit
_llamajit_models() {
  local -a models
  models=(${(f)"$(llamajit models --names 2>/dev/null)"})
  _alternative 'models:bundled model:compadd -a models' 'files:file:_files'
}

_llamajit() {
  local -a commands options
  commands=(
%COMMANDS%  )
  options=(
%OPTIONS%  )
  if ((CURRENT == 2)); then
    if [[ $words[2] == -* ]]; then
      _describe option options
    else
      _describe command commands
      _llamajit_models
    fi
    return
  fi
  # Without a command, the first word is a model to run.
  local command=$words[2]
  if ((${commands[(I)$command:*]})); then
    shift words
    ((CURRENT--))
  else
    command=run
  fi
  case $command in
%CASES%  esac
}

if [[ $funcstack[1] == _llamajit ]]; then
  _llamajit "$@"
else
  compdef _llamajit llamajit
fi
)script";

}  // namespace

std::string zsh_completion(const ProgramPage& page) {
  std::string commands, cases, options;
  for (const CommandPage& command : page.commands) {
    commands += fmt::format("    {}\n", in_quotes(fmt::format("{}:{}", command.name, command.text)));
    cases += command_case(command);
  }
  for (const OptionSection& section : page.sections) {
    for (const OptionEntry& entry : section.entries) {
      for (const std::string& name : entry.names) {
        options += fmt::format("    {}\n", in_quotes(fmt::format("{}:{}", name, entry.text)));
      }
    }
  }
  return filled(kZshScript, {{"%COMMANDS%", commands}, {"%OPTIONS%", options}, {"%CASES%", cases}});
}

}  // namespace llamajit::cli
