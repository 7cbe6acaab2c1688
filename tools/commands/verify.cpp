// llamajit verify: every kernel of a model's plan against its scalar twin.
#include "runtime/measure/verify.h"

#include <memory>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "jit/code/isa_choice.h"
#include "runtime/files/model_reader.h"
#include "tools/common/bundled_models.h"
#include "tools/common/cli.h"
#include "tools/common/ranks.h"

namespace llamajit::cli {
namespace {

struct VerifyOptions {
  std::string model;
  std::optional<std::string> isa;
  Precision precision;
  int threads = 0;
};

std::vector<jit::Tier> tiers_to_verify(const VerifyOptions& options) {
  if (options.isa) return {jit::choose_isa(options.isa).isa.tier};
  return jit::usable_tiers();
}

// What the other ranks found; whether all is well there.
bool write_others(const std::vector<VerifyCounts>& counts) {
  bool good = true;
  for (std::size_t rank = 1; rank < counts.size(); ++rank) {
    const VerifyCounts& c = counts[rank];
    good = good && c.good();
    write_out(fmt::format(
        "rank {} on {}: {} values, {} different; packed weights that are not the file's: {}{}\n", rank,
        hosts_of_ranks()[rank], c.values, c.different, c.wrong_weights, c.good() ? "" : "  FAILED"));
  }
  return good;
}

int verify(const VerifyOptions& options) {
  const std::vector<jit::Tier> tiers = tiers_to_verify(options);
  const ModelFile file = read_model(options.model);
  verify_on_ranks(file, tiers, options.precision);
  write_out(fmt::format("{:<36} {:<20} {:<11} {:>6} {:>12} {:>10} {:>10}\n", "kernel", "shape", "tier",
                        "calls", "values", "different", "rel.error"));
  const VerifyCounts own = count_verified(
      file, tiers, options.precision, options.threads, [](jit::Tier tier, const VerifyRow& row) {
        write_out(fmt::format("{:<36} {:<20} {:<11} {:>6} {:>12} {:>10} {:>10.2g}{}\n", row.kernel, row.shape,
                              to_string(tier), row.calls, row.values, row.different, row.largest_error,
                              row.different == 0 ? "" : "  FAILED"));
      });
  write_out(fmt::format("packed weights that are not the file's: {}{}\n", own.wrong_weights,
                        own.wrong_weights == 0 ? "" : "  FAILED"));
  bool good = own.good();
  if (is_one_of_ranks()) good = write_others(gather_counts(own)) && good;
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
  add_threads(*sub, o->threads);
  add_precision(*sub, o->precision);
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return verify(*o);
    };
  });
}

}  // namespace llamajit::cli
