#include "tools/usage/page.h"

#include <algorithm>

#include <fmt/format.h>

#include "tools/usage/notes.h"

namespace llamajit::cli {
namespace {

// Containers are shown as [1] by CLI11.
std::string without_brackets(std::string text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  return text;
}

std::string value_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return option.get_option_text();
  std::string name = option.get_type_name();
  if (name == "INT" || name == "UINT" || name == "FLOAT") return "N";
  return name;
}

OptionEntry entry_of(const CLI::Option& option) {
  const bool flag = option.get_items_expected_max() == 0;
  OptionEntry entry;
  entry.names = shown_names(option);
  entry.value = value_of(option);
  entry.value_attached = flag && !entry.value.empty();
  entry.repeatable = option.get_items_expected_max() > 1 && option.get_delimiter() == '\0';
  entry.text = option.get_positional() ? fmt::format("The same as {}", option.get_name(true))
                                       : option.get_description();
  if (!flag) entry.fallback = without_brackets(option.get_default_str());
  return entry;
}

WordEntry word_of(const CLI::Option& option) {
  return {option.get_name(true), option.get_required(), option.get_items_expected_max() > 1, value_of(option),
          option.get_description()};
}

// In the order in which they were added, what every command has last.
std::vector<OptionSection> sections_of(const CLI::App& app) {
  std::vector<OptionSection> sections;
  const auto section = [&](const std::string& title) -> OptionSection& {
    const auto found = std::ranges::find(sections, title, &OptionSection::title);
    return found != sections.end() ? *found : sections.emplace_back(OptionSection{title, {}});
  };
  const auto options = app.get_options();
  for (const CLI::Option* option : options) {
    if (!option->nonpositional() || option->get_group().empty() || option == app.get_help_ptr()) continue;
    section(option->get_group()).entries.push_back(entry_of(*option));
  }
  section(kGeneral).entries.push_back(entry_of(*app.get_help_ptr()));
  // clang 14 takes no view of libstdc++ 12's, and so not the std::ranges one.
  std::stable_partition(sections.begin(), sections.end(),
                        [](const OptionSection& s) { return s.title != kGeneral; });
  return sections;
}

bool has(const CLI::App& app, std::string_view option) {
  return app.get_option_no_throw(std::string(option)) != nullptr;
}

CommandPage command_page(const CLI::App& app) {
  CommandPage page;
  page.name = app.get_name();
  page.text = app.get_description();
  page.section = command_section(page.name);
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) page.words.push_back(word_of(*option));
  }
  page.sections = sections_of(app);
  page.examples = examples_of(page.name);
  for (const VariableNote& note : variable_notes()) {
    if (has(app, note.option)) page.variables.push_back({std::string(note.name), std::string(note.text)});
  }
  return page;
}

}  // namespace

std::vector<std::string> shown_names(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) {
    std::string dashed = name;
    std::ranges::replace(dashed, '_', '-');
    const bool twin = dashed != name && std::ranges::count(option.get_lnames(), dashed) > 0;
    if (!twin) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

ProgramPage program_page(const CLI::App& app) {
  ProgramPage page;
  page.name = app.get_name();
  page.text = app.get_description();
  page.sections = sections_of(app);
  for (const CLI::App* sub : app.get_subcommands({})) page.commands.push_back(command_page(*sub));
  page.examples = examples_of("");
  for (const VariableNote& note : variable_notes()) {
    page.variables.push_back({std::string(note.name), std::string(note.text)});
  }
  return page;
}

}  // namespace llamajit::cli
