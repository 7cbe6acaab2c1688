#include "tools/usage/man_page.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/usage/help.h"

namespace llamajit::cli {
namespace {

// Text that roff takes for text: no escapes, dashes that can be searched for, and nothing that it takes for a
// macro where a line begins.
std::string roff(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out += "\\&";
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '~') {
      out += "\\(ti";
    } else if (c == '^') {
      out += "\\(ha";
    } else {
      out += c;
    }
  }
  return out;
}

std::string capitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  return text;
}

// "\fB\-t\fR, \fB\-\-threads\fR \fIN\fR"
std::string term(const OptionEntry& entry) {
  std::vector<std::string> names;
  names.reserve(entry.names.size());
  for (const std::string& name : entry.names) names.push_back(fmt::format("\\fB{}\\fR", roff(name)));
  std::string out = fmt::format("{}", fmt::join(names, ", "));
  if (entry.value.empty()) return out;
  const std::string value = fmt::format("\\fI{}\\fR", roff(entry.value));
  return out + (entry.value_attached ? fmt::format("[={}]", value) : ' ' + value);
}

std::string paragraph(const std::string& head, std::string_view text) {
  return fmt::format(".TP\n{}\n{}\n", head, roff(text));
}

std::string option_sections(const std::vector<OptionSection>& sections) {
  std::string out;
  for (const OptionSection& section : sections) {
    out += fmt::format(".PP\n{}:\n", roff(section.title));
    for (const OptionEntry& entry : section.entries) out += paragraph(term(entry), text_of(entry));
  }
  return out;
}

std::string example_section(const std::vector<Example>& all) {
  std::string out;
  for (const Example& example : all) {
    out += fmt::format(".PP\n{}:\n.PP\n.nf\n.RS\n{}\n.RE\n.fi\n", roff(example.what), roff(example.line));
  }
  return out;
}

std::string command(const ProgramPage& program, const CommandPage& page) {
  std::string out = fmt::format(".SS {}\n{}.\n.PP\n.B {}\n", roff(page.name), roff(page.text),
                                roff(usage_line(program, page)));
  for (const WordEntry& word : page.words) {
    out += paragraph(fmt::format("\\fI{}\\fR", roff(word.name)), word.text);
  }
  return out + option_sections(page.sections) + example_section(page.examples);
}

}  // namespace

std::string man_page(const ProgramPage& page, std::string_view version) {
  std::string out = fmt::format(
      ".TH {} 1 \"\" \"{} {}\" \"User Commands\"\n"
      ".SH NAME\n{} \\- {}\n"
      ".SH SYNOPSIS\n.B {}\n.I COMMAND\n[\\fIOPTIONS\\fR] ...\n.br\n.B {}\n[\\fIOPTIONS\\fR] \\fIMODEL\\fR "
      "[\\fIPROMPT\\fR]\n"
      ".SH DESCRIPTION\n",
      capitals(page.name), page.name, version, page.name, roff(page.text), page.name, page.name);
  out +=
      roff(
          "Results go to standard output and nothing else does; what was loaded, why a text stopped and how "
          "fast it came go to standard error. Without a command, the first word is a model to run. Without "
          "arguments, in a folder with model.bin and tokenizer.bin, the prompt is a line of standard "
          "input.") +
      '\n';
  out += option_sections(page.sections) + ".SH COMMANDS\n";
  for (const CommandPage& one : page.commands) out += command(page, one);
  out += ".SH ENVIRONMENT\n";
  for (const Variable& variable : page.variables) {
    out += paragraph(fmt::format("\\fB{}\\fR", roff(variable.name)), variable.text);
  }
  out += ".SH \"EXIT STATUS\"\n";
  out += paragraph("0", "Success.");
  out += paragraph("1", "Failure, with one line on standard error.");
  out += paragraph("2", "Wrong usage.");
  out += paragraph("130", "Interrupted with Ctrl-C.");
  out += ".SH EXAMPLES\n" + example_section(page.examples);
  return out;
}

}  // namespace llamajit::cli
