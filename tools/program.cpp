#include "tools/program.h"

#include <spdlog/spdlog.h>

#include "tools/common/checks.h"
#include "tools/usage/completion.h"
#include "tools/usage/page.h"

namespace llamajit::cli {
namespace {

// What every command has.
void add_common_options(CLI::App& sub) {
  sub.set_help_flag("-h,--help", "Print this help")->group(kGeneral);
  sub.add_flag_callback(
         "-q,--quiet", [] { spdlog::set_level(spdlog::level::warn); },
         "Nothing on standard error but warnings and errors")
      ->group(kGeneral);
}

// Nothing names a file: said with the option's name before anything is read.
void expect_paths(CLI::App& sub) {
  for (CLI::Option* option : sub.get_options()) {
    switch (value_kind(option->get_type_name())) {
      case ValueKind::file:
        option->check(not_empty("the name of a file"));
        break;
      case ValueKind::folder:
        option->check(not_empty("the name of a folder"));
        break;
      case ValueKind::model:
        option->check(not_empty("a model's file or name"));
        break;
      case ValueKind::anything:
      case ValueKind::choices:
        break;
    }
  }
}

}  // namespace

void build_program(CLI::App& app, Command& command, bool& version) {
  app.name("llamajit");
  app.description("text from Llama-family models through machine code generated for them");
  app.set_help_flag("-h,--help", "Print this help")->group(kGeneral);
  app.add_flag("--version", version, "Print the version, and the instruction tier that would be used")
      ->group(kGeneral);
  app.require_subcommand(0, 1);
  add_run(app, command);
  add_chat(app, command);
  add_serve(app, command);
  add_embed(app, command);
  add_tokenize(app, command);
  add_perplexity(app, command);
  add_models(app, command);
  add_inspect(app, command);
  add_convert(app, command);
  add_imatrix(app, command);
  add_quantize(app, command);
  add_pack(app, command);
  add_ngrams(app, command);
  add_kernels(app, command);
  add_report(app, command);
  add_bench(app, command);
  add_verify(app, command);
  add_lesson(app, command);
  add_completion(app, command);
  add_man(app, command);
  for (CLI::App* sub : app.get_subcommands({})) {
    add_common_options(*sub);
    expect_paths(*sub);
  }
}

}  // namespace llamajit::cli
