// llamajit pack: a model's weights as kernels read them, for starts without packing.
#include <memory>

#include <fmt/format.h>

#include "runtime/base/file_replacement.h"
#include "runtime/files/model_reader.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/model_input.h"
#include "tools/common/packed_model.h"

namespace llamajit::cli {
namespace {

struct PackOptions {
  std::string model;
  std::optional<std::string> out;
  Precision precision;
  int threads = 1;
};

int pack_model(const PackOptions& options) {
  const ModelFile file = read_model(options.model);
  const std::string out = options.out.value_or(packed_beside(options.model));
  refuse_replacing(out, files_of(file, std::nullopt));
  Team team(options.threads);
  const Weights weights(file, team, options.precision.bf16);
  write_packed_file(out, file, weights, options.precision.bf16);
  write_out(
      fmt::format("{}: {:.1f} MiB\n", out, static_cast<double>(weights.bytes() + kPackedHeader) / (1 << 20)));
  return kOk;
}

}  // namespace

void add_pack(CLI::App& app, Command& command) {
  auto o = std::make_shared<PackOptions>();
  CLI::App* sub = app.add_subcommand("pack", "Write a model's weights as kernels read them, to start sooner");
  add_model(*sub, o->model, kModelText)->required();
  sub->add_option("OUT", o->out, "The file to write; default: MODEL.packed, which run, chat and serve find")
      ->type_name("FILE");
  add_threads(*sub, o->threads);
  add_precision(*sub, o->precision);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return pack_model(*o);
    };
  });
}

}  // namespace llamajit::cli
