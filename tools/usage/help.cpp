#include "tools/usage/help.h"

#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/notes.h"

namespace llamajit::cli {
namespace {

constexpr std::size_t kColumns = 80;  // of a line, in columns
constexpr std::size_t kColumn = 28;   // where texts begin
constexpr std::size_t kIndent = 2;

// Words of `text` in lines that begin at a column; the first goes on from what is there already.
std::string wrapped(std::string_view text, std::size_t column, std::size_t used) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (used > column && used + 1 + end > kColumns) {
      out += '\n' + std::string(column, ' ');
      used = column;
    } else if (used > column) {
      out += ' ';
      ++used;
    }
    out += text.substr(0, end);
    used += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// "  NAME      what it is, in lines of a column of their own"
std::string row(std::string_view name, std::string_view text) {
  std::string out = std::string(kIndent, ' ').append(name);
  if (out.size() + 2 > kColumn) out += "\n";
  const std::size_t used = out.ends_with('\n') ? 0 : out.size();
  out += std::string(kColumn - used, ' ') + wrapped(text, kColumn, kColumn);
  return out + '\n';
}

std::string options(const std::vector<OptionSection>& sections) {
  std::string out;
  for (const OptionSection& section : sections) {
    out += fmt::format("\n{}:\n", section.title);
    for (const OptionEntry& entry : section.entries) out += row(names_and_value(entry), text_of(entry));
  }
  return out;
}

std::string examples(const std::vector<Example>& all) {
  if (all.empty()) return {};
  std::string out = "\nExamples:\n";
  for (const Example& example : all) out += fmt::format("  {}:\n    {}\n", example.what, example.line);
  return out;
}

std::string variables(const std::vector<Variable>& all) {
  if (all.empty()) return {};
  std::string out = "\nEnvironment:\n";
  for (const Variable& variable : all) out += row(variable.name, variable.text);
  return out;
}

}  // namespace

std::string names_and_value(const OptionEntry& entry) {
  // Long names alone stand below those behind a short one.
  std::string out = entry.names.front().starts_with("--") ? "    " : "";
  out += fmt::format("{}", fmt::join(entry.names, ", "));
  if (entry.value_attached) return out + fmt::format("[={}]", entry.value);
  return entry.value.empty() ? out : out + ' ' + entry.value;
}

std::string text_of(const OptionEntry& entry) {
  return entry.fallback.empty() ? entry.text : fmt::format("{} (default: {})", entry.text, entry.fallback);
}

std::string usage_line(const ProgramPage& program, const CommandPage& page) {
  std::string out = fmt::format("{} {} [OPTIONS]", program.name, page.name);
  for (const WordEntry& word : page.words) {
    const std::string name = word.name + (word.repeatable ? "..." : "");
    out += word.required ? ' ' + name : fmt::format(" [{}]", name);
  }
  return out;
}

std::string command_help(const ProgramPage& program, const CommandPage& page) {
  std::string out = fmt::format("{}\n\nUsage: {}\n", wrapped(page.text, 0, 0), usage_line(program, page));
  if (!page.words.empty()) {
    out += "\nArguments:\n";
    for (const WordEntry& word : page.words) out += row(word.name, word.text);
  }
  return out + options(page.sections) + examples(page.examples) + variables(page.variables);
}

std::string program_help(const ProgramPage& page) {
  std::string out = fmt::format(
      "{}\n\nUsage: {} COMMAND [OPTIONS] ...\n       {} [OPTIONS] MODEL [PROMPT]    (as {} run)\n",
      wrapped(page.text, 0, 0), page.name, page.name, page.name);
  for (const std::string_view section : command_sections()) {
    out += fmt::format("\n{}:\n", section);
    for (const CommandPage& command : page.commands) {
      if (command.section == section) out += row(command.name, command.text);
    }
  }
  out += options(page.sections) + examples(page.examples) + variables(page.variables);
  return out + '\n' +
         wrapped(fmt::format("{} COMMAND --help lists the command's options. Without arguments, in a folder "
                             "with model.bin and tokenizer.bin, the prompt is a line of standard input.",
                             page.name),
                 0, 0) +
         '\n';
}

}  // namespace llamajit::cli
