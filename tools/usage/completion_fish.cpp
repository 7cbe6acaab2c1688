#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/completion.h"

namespace llamajit::cli {
namespace {

// fish escapes quotes within quotes.
std::string fish_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + '\'';
}

// The first sentence or clause: a menu has little room.
std::string_view short_text(std::string_view text) {
  return text.substr(0, std::min(text.find_first_of(";."), text.size()));
}

std::string value_arguments(std::string_view value) {
  switch (value_kind(value)) {
    case ValueKind::choices:
      return fmt::format(" -x -a {}", fish_quotes(fmt::format("{}", fmt::join(choices_of(value), " "))));
    case ValueKind::file:
      return " -r -F";
    case ValueKind::folder:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::model:
      return " -r -F -a '(llamajit models --names 2>/dev/null)'";
    case ValueKind::anything:
      break;
  }
  return " -x";
}

std::string option_line(const ProgramPage& page, const std::string& condition, const OptionEntry& entry) {
  std::string out = fmt::format("complete -c {} -n {}", page.name, fish_quotes(condition));
  for (const std::string& name : entry.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!entry.value.empty() && !entry.value_attached) out += value_arguments(entry.value);
  return out + fmt::format(" -d {}\n", fish_quotes(short_text(entry.text)));
}

}  // namespace

std::string fish_completion(const ProgramPage& page) {
  std::string out = fmt::format("# fish completion for {}\n", page.name);
  const std::string none = "__fish_use_subcommand";
  for (const CommandPage& command : page.commands) {
    out += fmt::format("complete -c {} -n {} -a {} -d {}\n", page.name, none, command.name,
                       fish_quotes(short_text(command.text)));
  }
  out += fmt::format("complete -c {0} -n {1} -a '({0} models --names 2>/dev/null)' -d 'Run this model'\n",
                     page.name, none);
  for (const OptionSection& section : page.sections) {
    for (const OptionEntry& entry : section.entries) out += option_line(page, none, entry);
  }
  for (const CommandPage& command : page.commands) {
    const std::string condition = "__fish_seen_subcommand_from " + command.name;
    for (const OptionSection& section : command.sections) {
      for (const OptionEntry& entry : section.entries) out += option_line(page, condition, entry);
    }
    for (const WordEntry& word : command.words) {
      const ValueKind kind = value_kind(word.value);
      if (kind != ValueKind::choices && kind != ValueKind::model) continue;  // files are offered anyway
      const std::string values = kind == ValueKind::model
                                     ? "(" + page.name + " models --names 2>/dev/null)"
                                     : fmt::format("{}", fmt::join(choices_of(word.value), " "));
      out += fmt::format("complete -c {} -n {}{} -a {}\n", page.name, fish_quotes(condition),
                         kind == ValueKind::choices && command.words.size() == 1 ? " -f" : "",
                         fish_quotes(values));
    }
  }
  return out;
}

}  // namespace llamajit::cli
