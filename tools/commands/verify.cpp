// llamajit verify: every kernel of a model's plan against its scalar twin.
#include "runtime/measure/verify.h"

#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "runtime/files/model_reader.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"

namespace llamajit::cli {
namespace {

struct VerifyOptions {
  std::string model;
  std::optional<std::string> isa;
  Precision precision;
};

std::vector<jit::Tier> tiers_to_verify(const VerifyOptions& options) {
  if (options.isa) return {jit::choose_isa(options.isa).isa.tier};
  return jit::usable_tiers();
}

int verify(const VerifyOptions& options) {
  const std::vector<jit::Tier> tiers = tiers_to_verify(options);
  const ModelFile file = read_model(options.model);
  bool good = true;
  write_out(fmt::format("{:<36} {:<20} {:<11} {:>6} {:>12} {:>10} {:>10}\n", "kernel", "shape", "tier",
                        "calls", "values", "different", "rel.error"));
  for (const jit::Tier tier : tiers) {
    for (const VerifyRow& row : verify_kernels(file, {tier}, options.precision)) {
      const bool row_good = row.different == 0;
      good = good && row_good;
      write_out(fmt::format("{:<36} {:<20} {:<11} {:>6} {:>12} {:>10} {:>10.2g}{}\n", row.kernel, row.shape,
                            to_string(tier), row.calls, row.values, row.different, row.largest_error,
                            row_good ? "" : "  FAILED"));
    }
  }
  const std::int64_t wrong = verify_packing(file, options.precision);
  good = good && wrong == 0;
  write_out(
      fmt::format("packed weights that are not the file's: {}{}\n", wrong, wrong == 0 ? "" : "  FAILED"));
  write_out(good ? "all kernels give their twins' results to the last bit (bound: 0 different values)\n"
                 : "FAILED: the bound is 0 different values\n");
  return good ? kOk : kFailure;
}

}  // namespace

void add_verify(CLI::App& app, Command& command) {
  auto o = std::make_shared<VerifyOptions>();
  CLI::App* sub = app.add_subcommand("verify", "Hold every kernel of a model against its scalar twin");
  add_model(*sub, o->model, kModelText);
  add_isa(*sub, o->isa, "Only this instruction tier; default: all that this CPU has");
  add_precision(*sub, o->precision);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return verify(*o);
    };
  });
}

}  // namespace llamajit::cli
