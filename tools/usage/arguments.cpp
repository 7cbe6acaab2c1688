#include "tools/usage/arguments.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/common/bundled_models.h"
#include "tools/usage/foreign_words.h"
#include "tools/usage/page.h"
#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace {

// "-5" and "-.5" are numbers, "-" is standard input; no option looks like them.
bool is_option(std::string_view word) {
  return word.size() > 1 && word.front() == '-' && std::isdigit(static_cast<unsigned char>(word[1])) == 0 &&
         word[1] != '.';
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_min() > 0;
}

// "--temp=0.8" in two.
struct Split {
  std::string name;
  std::optional<std::string> value;
};
Split split(const std::string& word) {
  const std::size_t at = word.find('=');
  if (at == std::string::npos) return {word, std::nullopt};
  return {word.substr(0, at), word.substr(at + 1)};
}

class Scanner {
 public:
  // Where no command was typed, a word may be meant for the program.
  Scanner(const CLI::App& app, const CLI::App& command, std::vector<std::string> words, bool command_typed)
      : app_(app), command_(command), words_(std::move(words)), command_typed_(command_typed) {
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_snames()) add(*option, "-" + name);
      for (const std::string& name : option->get_lnames()) add(*option, "--" + name);
      if (option->get_positional()) slots_.push_back(option);
    }
  }

  Arguments scan() {
    while (at_ < words_.size()) {
      const std::string word = words_[at_++];
      if (word == "--") {
        positionals_.insert(positionals_.end(), words_.begin() + static_cast<std::ptrdiff_t>(at_),
                            words_.end());
        break;
      }
      if (is_option(word)) {
        take_option(word);
      } else {
        positionals_.push_back(word);
      }
    }
    check_positionals();
    Arguments arguments{command_.get_name(), {command_.get_name()}, std::move(notices_), std::move(typed_)};
    std::vector<std::string>& words = arguments.words;
    words.insert(words.end(), options_.begin(), options_.end());
    if (!positionals_.empty()) words.emplace_back("--");
    words.insert(words.end(), positionals_.begin(), positionals_.end());
    return arguments;
  }

 private:
  void add(const CLI::Option& option, const std::string& name) {
    names_.push_back(name);
    by_name_[name] = &option;
  }

  void take_option(const std::string& word) {
    if (const auto known = by_name_.find(word); known != by_name_.end())
      return take(*known->second, word, {});
    const auto [name, value] = split(word);
    if (const ForeignWord* foreign = find_foreign_word(name, names_))
      return take_foreign(*foreign, name, value);
    if (const auto known = by_name_.find(name); value && known != by_name_.end()) {
      return take(*known->second, name, value);
    }
    // "-temp" is hardly -t with the value emp.
    if (by_name_.contains('-' + name)) throw UsageError(unknown(name));
    const bool letters = !word.starts_with("--") && by_name_.contains(word.substr(0, 2));
    if (letters && others_with(name).empty()) return take_letters(word);
    throw UsageError(unknown(name));
  }

  // Short options in one word: flags, then perhaps one with its value.
  void take_letters(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string name = fmt::format("-{}", word[i]);
      const auto known = by_name_.find(name);
      if (known == by_name_.end()) throw UsageError(fmt::format("{} (in '{}')", unknown(name), word));
      if (!takes_value(*known->second)) {
        take(*known->second, name, {});
        continue;
      }
      const std::string value = word.substr(i + 1);
      return take(*known->second, name, value.empty() ? std::nullopt : std::optional(value));
    }
  }

  // Messages call options by their first long name, which one letter stands for; not so a name of its own.
  void remember_name(const CLI::Option& option, const std::string& typed) {
    const std::string ours = option.get_name();
    if (typed.size() > 2 && typed != ours) typed_[ours] = typed;
  }

  // The option under the name that was typed, with the value that was attached to it or the next word.
  void take(const CLI::Option& option, const std::string& name, std::optional<std::string> value) {
    remember_name(option, name);
    if (!takes_value(option)) {
      options_.push_back(value ? fmt::format("{}={}", name, *value) : name);
      return;
    }
    if (!value) {
      if (at_ == words_.size()) {
        throw UsageError(fmt::format("{}: expected a value behind it, found nothing", name));
      }
      value = words_[at_++];
    }
    const bool once = option.get_items_expected_max() == 1;
    if (++taken_[&option] > 1 && once) {
      throw UsageError(fmt::format("{}: expected once, found again", name));
    }
    options_.insert(options_.end(), {name, *value});
  }

  void take_foreign(const ForeignWord& word, const std::string& name, std::optional<std::string> value) {
    using Value = ForeignWord::Value;
    if (word.answer == ForeignAnswer::refused) throw UsageError(fmt::format("{}: {}", name, word.text));
    if (!value && at_ < words_.size()) {
      const bool said = word.value == Value::maybe && is_switch(words_[at_]);
      if (said || (word.value == Value::one && word.answer != ForeignAnswer::alias)) value = words_[at_++];
    }
    if (word.answer == ForeignAnswer::unneeded) {
      notices_.push_back(fmt::format("{} is not needed: {}", name, word.text));
      return;
    }
    take_alias(*by_name_.at(std::string(word.text)), word, name, std::move(value));
  }

  // Two names may stand for one option here, if they ask for the same.
  void take_alias(const CLI::Option& option, const ForeignWord& word, const std::string& name,
                  std::optional<std::string> value) {
    const std::string ours(word.text);
    if (word.value == ForeignWord::Value::none) {
      if (++taken_[&option] == 1) take(option, ours, {});
      return;
    }
    if (!value && at_ < words_.size()) value = words_[at_++];
    if (const auto before = aliased_.find(ours); value && before != aliased_.end()) {
      if (before->second == *value) return;
      throw UsageError(fmt::format("{}: expected {}, as {} is one option for both, found {}", name,
                                   before->second, ours, *value));
    }
    if (value) aliased_[ours] = *value;
    take(option, value ? ours : name, value);
    remember_name(option, name);
  }

  static bool is_switch(std::string_view word) {
    constexpr std::array<std::string_view, 8> kSwitches = {"on", "off", "auto", "0",
                                                           "1",  "-1",  "true", "false"};
    return std::ranges::count(kSwitches, word) > 0;
  }

  void check_positionals() const {
    std::size_t room = 0;
    for (const CLI::Option* option : slots_) {
      if (option->get_items_expected_max() > 1) return;
      if (!taken_.contains(option)) ++room;
    }
    if (positionals_.size() <= room) return;
    throw UsageError(fmt::format("{}: expected {}, found '{}' more", command_.get_name(),
                                 room == 0 ? "options alone" : fmt::format("{} words at most", room),
                                 positionals_[room]));
  }

  std::vector<std::string> names_and_aliases() const {
    std::vector<std::string> names = names_;
    for (const ForeignWord& word : foreign_words()) {
      const bool is_alias = word.answer == ForeignAnswer::alias && by_name_.contains(std::string(word.text));
      if (is_alias) names.insert(names.end(), word.names.begin(), word.names.end());
    }
    if (command_typed_) return names;
    for (const CLI::Option* option : app_.get_options()) names.push_back(option->get_name());
    return names;
  }

  // Whether another command has the option, be it with one dash of two, or under a name of other programs.
  static bool has_option(const CLI::App& sub, const std::string& name) {
    if (name.size() <= 2) return false;
    if (sub.get_option_no_throw(name) != nullptr || sub.get_option_no_throw('-' + name) != nullptr)
      return true;
    return std::ranges::any_of(foreign_words(), [&](const ForeignWord& word) {
      return word.answer == ForeignAnswer::alias && std::ranges::count(word.names, name) > 0 &&
             sub.get_option_no_throw(std::string(word.text)) != nullptr;
    });
  }

  std::vector<std::string> others_with(const std::string& name) const {
    std::vector<std::string> others;
    for (const CLI::App* sub : app_.get_subcommands({})) {
      if (has_option(*sub, name)) others.push_back(sub->get_name());
    }
    return others;
  }

  std::string unknown(const std::string& name) const {
    const std::vector<std::string> others = others_with(name);
    const bool elsewhere = !others.empty() && !by_name_.contains('-' + name);
    return fmt::format("{} has no option '{}'{}{}", command_.get_name(), name,
                       elsewhere ? fmt::format("; it is one of {}", fmt::join(others, ", ")) : "",
                       did_you_mean(name, names_and_aliases()));
  }

  const CLI::App& app_;
  const CLI::App& command_;
  std::vector<std::string> words_;
  bool command_typed_;
  std::size_t at_ = 0;
  std::vector<std::string> names_;
  std::map<std::string, const CLI::Option*> by_name_;
  std::vector<const CLI::Option*> slots_;  // for words without a name
  std::map<const CLI::Option*, int> taken_;
  std::map<std::string, std::string> aliased_;
  std::vector<std::string> options_;
  std::vector<std::string> positionals_;
  std::vector<std::string> notices_;
  TypedNames typed_;
};

bool looks_like_a_model(const std::string& word) {
  const std::filesystem::path path(word);
  std::error_code error;
  return word.find('/') != std::string::npos || path.extension() == ".gguf" || path.extension() == ".bin" ||
         is_bundled(word) || std::filesystem::is_regular_file(path, error);
}

[[noreturn]] void refuse_command(const std::string& word, const std::vector<std::string>& names) {
  throw UsageError(
      fmt::format("expected a command or a model, found '{}'{}", word, did_you_mean(word, names)));
}

}  // namespace

std::vector<std::string> with_command(const CLI::App& app, std::vector<std::string> words) {
  if (words.empty()) return words;
  const std::vector<std::string> commands = command_names(app);
  const auto is_command = [&](const std::string& word) { return std::ranges::count(commands, word) > 0; };
  if (words.front() == "help") {
    words.erase(words.begin());
    if (words.empty()) return {"--help"};
    if (!is_command(words.front())) refuse_command(words.front(), commands);
    if (words.size() > 1) {
      throw UsageError(fmt::format("help: expected one command, found '{}' more", words[1]));
    }
    return {words.front(), "--help"};
  }
  if (words.front() == "-?" || words.front() == "--usage") words.front() = "--help";
  if (words.front() == "version" || words.front() == "-V") words.front() = "--version";
  if (is_command(words.front()) || app.get_option_no_throw(words.front()) != nullptr) {
    return words;
  }
  if (!is_option(words.front()) && !looks_like_a_model(words.front())) {
    std::vector<std::string> names = commands;
    for (const std::string& model : bundled_names()) names.push_back(model);
    refuse_command(words.front(), names);
  }
  words.insert(words.begin(), "run");
  return words;
}

Arguments read_arguments(const CLI::App& app, std::vector<std::string> words) {
  const std::size_t typed = words.size();
  words = with_command(app, std::move(words));
  if (words.empty() || is_option(words.front())) return {"", std::move(words), {}};
  const bool command_typed = words.size() <= typed;
  const CLI::App* command = app.get_subcommand(words.front());
  words.erase(words.begin());
  return Scanner(app, *command, std::move(words), command_typed).scan();
}

std::string as_typed(const std::string& message, const TypedNames& typed) {
  const auto found = typed.find(message.substr(0, message.find(':')));
  return found == typed.end() ? message : found->second + message.substr(found->first.size());
}

}  // namespace llamajit::cli
