// llamajit lesson: small kernels that explain themselves.
#include "tools/lessons/lesson.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/measured_kernels.h"
#include "tools/lessons/table.h"
#include "tools/lessons/text.h"
#include "tools/usage/suggestion.h"

namespace llamajit::cli {
namespace {

struct LessonOptions {
  std::string name;
  std::vector<std::string> words;  // numbers and separators, or a model
  std::optional<int> random;
  std::optional<std::string> tokenizer;
  std::optional<std::string> prompt;
  std::optional<std::string> isa;
  std::optional<std::string> language;
  bool text = false;
  InspectionFlags inspection;
};

constexpr std::string_view kModelLesson = "model";
constexpr const char* kPrompt = "Once upon a time";

std::vector<std::string_view> lesson_names() {
  std::vector<std::string_view> names;
  for (const Lesson& lesson : kernel_lessons()) names.push_back(lesson.name);
  names.push_back(kModelLesson);
  return names;
}

int list_lessons(Language language) {
  const LessonWords& words = lesson_words(language);
  std::string out = fmt::format("{}\n\n", words.list_head);
  for (const std::string_view name : lesson_names()) {
    out += fmt::format("{:<14} {}\n", name, lesson_parts(lesson_text(name, language)).title);
  }
  write_out(out + fmt::format("\n{}\n", words.list_foot));
  return kOk;
}

int lesson_on_model(const LessonOptions& options, Language language) {
  if (options.words.size() > 1) {
    throw std::invalid_argument(
        fmt::format("lesson model: expected the path of one model, as in lesson model stories260K.bin -z "
                    "tok512.bin, found {}",
                    options.words.size()));
  }
  const std::string model = named_or_bundled(options.words.empty() ? "" : options.words.front());
  return model_lesson({model, options.tokenizer, options.prompt.value_or(kPrompt), options.isa, language,
                       options.inspection});
}

// Options of the one kind of lessons say nothing to the other.
void refuse_misplaced(const LessonOptions& options) {
  const auto refuse = [&](bool given, std::string_view option, std::string_view with) {
    if (!given) return;
    throw std::invalid_argument(
        fmt::format("{}: expected with {}, found with {}", option, with, options.name));
  };
  if (options.name == kModelLesson) {
    refuse(options.random.has_value(), "--random", "the lessons on kernels");
  } else {
    refuse(options.tokenizer.has_value(), "--tokenizer", "the lesson model");
    refuse(options.prompt.has_value(), "--prompt", "the lesson model");
  }
}

int lesson(const LessonOptions& options) {
  const Language language = choose_language(options.language);
  if (options.name.empty()) return list_lessons(language);
  const std::vector<std::string_view> names = lesson_names();
  if (std::ranges::count(names, options.name) == 0) {
    throw std::invalid_argument(fmt::format("lesson: expected one of {}, found '{}'{}",
                                            fmt::join(names, ", "), options.name,
                                            did_you_mean(options.name, {names.begin(), names.end()})));
  }
  if (options.text) {
    write_out(lesson_text(options.name, language));
    return kOk;
  }
  refuse_misplaced(options);
  if (options.name == kModelLesson) return lesson_on_model(options, language);
  const Lesson& chosen = *std::ranges::find(kernel_lessons(), options.name, &Lesson::name);
  if (options.random && !options.words.empty()) {
    throw std::invalid_argument("--random: expected no numbers beside it, found some");
  }
  Numbers numbers =
      options.random ? random_numbers(chosen, *options.random) : parse_numbers(chosen, options.words);
  return kernel_lesson(chosen, chosen.make(std::move(numbers)), isa_to_show(options.isa), language,
                       options.inspection);
}

}  // namespace

std::vector<std::string> lesson_arguments(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "lesson") return arguments;
  for (std::string& argument : arguments) {
    if (argument == "--") argument = "/";
    if (argument.starts_with("-.")) argument.insert(1, "0");
  }
  return arguments;
}

void add_lesson(CLI::App& app, Command& command) {
  auto o = std::make_shared<LessonOptions>();
  CLI::App* sub = app.add_subcommand(
      "lesson",
      "Generate a small kernel, run it on numbers of yours, and explain it; without NAME, list them");
  std::vector<std::string> names;
  for (const std::string_view name : lesson_names()) names.emplace_back(name);
  sub->add_option("NAME", o->name, "The lesson")->type_name(fmt::format("{}", fmt::join(names, "|")));
  sub->add_option(
      "NUMBERS", o->words,
      "What it is to run on, -- between two lists: dot 2 3 -- 4 5. For the lesson model: a model");
  sub->add_option("--random", o->random, "That many random numbers in each list")
      ->transform(whole_number(1, 1024));
  sub->add_option("-z,--tokenizer", o->tokenizer, "tokenizer.bin of the model, where it has none inside")
      ->type_name("FILE");
  sub->add_option("-p,--prompt", o->prompt, "What the model reads before the token that is followed")
      ->default_str(kPrompt);
  add_isa(*sub, o->isa, "Instruction tier, also one that this CPU lacks; default: the best");
  choose_from(
      *sub->add_option("--lang", o->language, "en or ko; default: Korean where LC_ALL or LANG say so"),
      {"en", "ko"});
  sub->add_flag("--text", o->text, "Print the lesson's whole text, as in docs/lessons/, and run nothing");
  add_inspection(*sub, o->inspection);
  sub->callback([o, &command] { command = [o] { return lesson(*o); }; });
}

}  // namespace llamajit::cli
