#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/completion.h"

namespace llamajit::cli {
namespace {

// What all options of a command are called.
std::vector<std::string> names_of(const std::vector<OptionSection>& sections) {
  std::vector<std::string> names;
  for (const OptionSection& section : sections) {
    for (const OptionEntry& entry : section.entries) {
      names.insert(names.end(), entry.names.begin(), entry.names.end());
    }
  }
  return names;
}

// The words that a value is chosen from, or how files are asked for.
std::string bash_values(std::string_view value) {
  switch (value_kind(value)) {
    case ValueKind::choices:
      return fmt::format("{}", fmt::join(choices_of(value), " "));
    case ValueKind::file:
      return "@files";
    case ValueKind::folder:
      return "@folders";
    case ValueKind::model:
      return "@models";
    case ValueKind::anything:
      break;
  }
  return "@none";
}

// Cases of "command:option" and of "command:number of a word", those of one answer together.
std::string bash_cases(const ProgramPage& page) {
  std::map<std::string, std::vector<std::string>> patterns, last;  // those of all further words come last
  for (const CommandPage& command : page.commands) {
    for (const OptionSection& section : command.sections) {
      for (const OptionEntry& entry : section.entries) {
        if (entry.value.empty() || entry.value_attached) continue;
        for (const std::string& name : entry.names) {
          patterns[bash_values(entry.value)].push_back(fmt::format("{}:{}", command.name, name));
        }
      }
    }
    for (std::size_t i = 0; i < command.words.size(); ++i) {
      const WordEntry& word = command.words[i];
      const std::string at = word.repeatable ? "[0-9]*" : fmt::to_string(i + 1);
      auto& to = word.repeatable ? last : patterns;
      to[bash_values(word.value)].push_back(fmt::format("{}:{}", command.name, at));
    }
  }
  std::string out;
  for (const auto& cases : {patterns, last}) {
    for (const auto& [values, all] : cases) {
      out += fmt::format("    {})\n      echo {} ;;\n", fmt::join(all, "|"), in_quotes(values));
    }
  }
  return out;
}

constexpr std::string_view kBashScript = R"script(# bash completion for llamajit
# The options of a command.
_llamajit_options() {
  case $1 in
%OPTIONS%  esac
}

# What the value of command:option, or the word command:number, may be.
_llamajit_values() {
  case $1 in
%VALUES%  esac
}

# Completes the word $2 to values of the kind $1.
_llamajit_complete() {
  case $1 in
    @none) ;;
    @files) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    @folders) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    @models)
      mapfile -t COMPREPLY < <(
        compgen -f -- "$2"
        compgen -W "$(llamajit models --names 2>/dev/null)" -- "$2"
      ) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
  esac
  case $1 in @files | @folders | @models) compopt -o filenames 2>/dev/null ;; esac
}

_llamajit() {
  local commands=%COMMANDS%
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local first=2 number=1 i values
  COMPREPLY=()
  # --name=value is three words to bash.
  [[ $word == '=' ]] && word=''
  [[ $before == '=' ]] && before=${COMP_WORDS[COMP_CWORD-2]}
  if ((COMP_CWORD == 1)); then
    _llamajit_complete @models "$word"
    local models=("${COMPREPLY[@]}")
    mapfile -t COMPREPLY < <(compgen -W "$commands %PROGRAM%" -- "$word")
    [[ $word == -* ]] || COMPREPLY+=("${models[@]}")
    return
  fi
  # Without a command, the first word is a model to run.
  if [[ " $commands " != *" $command "* ]]; then command=run first=1; fi
  if [[ $before == -* ]]; then
    values=$(_llamajit_values "$command:$before")
    if [[ -n $values ]]; then
      _llamajit_complete "$values" "$word"
      return
    fi
  fi
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_llamajit_options "$command")" -- "$word")
    return
  fi
  for ((i = first; i < COMP_CWORD; ++i)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      ((++number))
    elif [[ -n $(_llamajit_values "$command:${COMP_WORDS[i]}") ]]; then
      ((++i))
      [[ ${COMP_WORDS[i]} == '=' ]] && ((++i))
    fi
  done
  _llamajit_complete "$(_llamajit_values "$command:$number")" "$word"
}
complete -F _llamajit llamajit
)script";

}  // namespace

std::string bash_completion(const ProgramPage& page) {
  std::vector<std::string> commands;
  std::string options;
  for (const CommandPage& command : page.commands) {
    commands.push_back(command.name);
    options += fmt::format("    {})\n      echo {} ;;\n", command.name,
                           in_quotes(fmt::format("{}", fmt::join(names_of(command.sections), " "))));
  }
  return filled(kBashScript, {{"%COMMANDS%", in_quotes(fmt::format("{}", fmt::join(commands, " ")))},
                              {"%OPTIONS%", options},
                              {"%VALUES%", bash_cases(page)},
                              {"%PROGRAM%", fmt::format("{}", fmt::join(names_of(page.sections), " "))}});
}

}  // namespace llamajit::cli
