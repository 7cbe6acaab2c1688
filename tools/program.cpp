#include "tools/program.h"

#include <spdlog/spdlog.h>

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
  for (CLI::App* sub : app.get_subcommands({})) add_common_options(*sub);
}

}  // namespace llamajit::cli
