// llamajit kernels: the machine code that a model becomes.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "jit/inspect/dump.h"
#include "runtime/files/model_reader.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/measured_kernels.h"
#include "tools/common/printable.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

using jit::inspect::Listing;

struct KernelsOptions {
  std::string model;
  std::optional<std::string> isa;
  std::optional<std::string> out;
  std::string only = "*";
  int position = 128;
  Precision precision;
  bool json = false;
};

int calls(const Profile& profile, const jit::KernelInfo& kernel) {
  const KernelProfile* entry = profile.find(kernel);
  return entry != nullptr ? entry->calls : 0;
}

// "9+24+1": general, vector and mask registers.
std::string registers(const Listing& listing) {
  return fmt::format("{}+{}+{}", listing.general_registers, listing.vector_registers, listing.mask_registers);
}

std::string percent_of(const MeasuredKernels& report, const Profile& profile, const jit::KernelInfo& kernel) {
  if (!report.measured || calls(profile, kernel) == 0) return "-";
  return fmt::format("{:.1f}%", 100 * profile.share(kernel));
}

std::string microseconds(const MeasuredKernels& report, const jit::KernelInfo& kernel) {
  const KernelProfile* entry = report.token.find(kernel);
  if (!report.measured || entry == nullptr) return "-";
  return fmt::format("{:.2f}", entry->seconds * 1e6 / entry->calls);
}

std::string as_table(const KernelsOptions& options, const MeasuredKernels& report,
                     const jit::CodeCache& code) {
  std::string out = fmt::format("{}: tier {}, {} kernels of {} bytes\n", printable(options.model),
                                to_string(report.isa.tier), code.kernels().size(), code.code_bytes());
  constexpr auto kColumns = "{:<36} {:<22} {:>7} {:>6} {:>7} {:>9} {:>6} {:>9} {:>7} {:>7}\n";
  out += fmt::format(kColumns, "kernel", "shape", "bytes", "instr.", "vector", "registers", "calls",
                     "us a call", "token", "prompt");
  for (const auto& [kernel, listing] : report.rows) {
    out += fmt::format(kColumns, kernel->name, jit::kernel_shape(kernel->key), kernel->size,
                       listing.instructions, listing.vector_instructions, registers(listing),
                       calls(report.token, *kernel), microseconds(report, *kernel),
                       percent_of(report, report.token, *kernel), percent_of(report, report.prompt, *kernel));
  }
  out += "registers: general + vector + mask; calls: of one token; token, prompt: share of its time\n";
  if (!report.measured) return out + "not measured: this CPU lacks the tier\n";
  return out + fmt::format(
                   "measured on one thread: a token at position {} takes {:.1f} us, a prompt of {} "
                   "tokens {:.1f} us\n",
                   report.token.position, report.token.seconds * 1e6, report.prompt.tokens,
                   report.prompt.seconds * 1e6);
}

nlohmann::ordered_json as_json(const Profile& profile, const jit::KernelInfo& kernel) {
  const KernelProfile* entry = profile.find(kernel);
  if (entry == nullptr) return nullptr;
  return {{"calls", entry->calls},
          {"seconds", entry->seconds},
          {"share", profile.share(kernel)},
          {"bytes", entry->work.bytes},
          {"operations", entry->work.operations}};
}

std::string as_json(const KernelsOptions& options, const MeasuredKernels& report,
                    const jit::CodeCache& code) {
  nlohmann::ordered_json json = {
      {"model", options.model},
      {"isa", to_string(report.isa.tier)},
      {"code_bytes", code.code_bytes()},
      {"measured", report.measured},
      {"token", {{"position", report.token.position}, {"seconds", report.token.seconds}}},
      {"prompt", {{"tokens", report.prompt.tokens}, {"seconds", report.prompt.seconds}}}};
  json["kernels"] = nlohmann::ordered_json::array();
  for (const auto& [kernel, listing] : report.rows) {
    json["kernels"].push_back({{"name", kernel->name},
                               {"shape", jit::kernel_shape(kernel->key)},
                               {"bytes", kernel->size},
                               {"instructions", listing.instructions},
                               {"vector_instructions", listing.vector_instructions},
                               {"general_registers", listing.general_registers},
                               {"vector_registers", listing.vector_registers},
                               {"mask_registers", listing.mask_registers},
                               {"token", as_json(report.token, *kernel)},
                               {"prompt", as_json(report.prompt, *kernel)}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void dump(const KernelsOptions& options, const jit::CodeCache& code) {
  if (!code.isa().generates()) {
    throw std::runtime_error("--out: the scalar tier has no generated code");
  }
  std::vector<Listing> listings;
  for (KernelRow& row : kernel_rows(code, options.only)) listings.push_back(std::move(row.listing));
  jit::inspect::dump_kernels(listings, code.isa(), options.model, *options.out);
  spdlog::info("{} kernels in {}", listings.size(), *options.out);
}

int kernels(const KernelsOptions& options) {
  const jit::Isa isa = isa_to_show(options.isa);
  const ModelFile file = read_model(options.model);
  // The kernels that run takes, though measured one by one.
  Engine engine(file, {isa, 1, 0, options.precision, remembered_tuning(isa, default_threads())});
  if (options.out) {
    dump(options, engine.code());
    return kOk;
  }
  const MeasuredKernels report = measure_kernels(engine, options.only, options.position);
  write_out(options.json ? as_json(options, report, engine.code())
                         : as_table(options, report, engine.code()));
  return kOk;
}

}  // namespace

void add_kernels(CLI::App& app, Command& command) {
  auto o = std::make_shared<KernelsOptions>();
  CLI::App* sub = app.add_subcommand("kernels", "Show a model's kernels, or write them to a folder");
  add_model(*sub, o->model, kModelText);
  add_isa(*sub, o->isa, "Instruction tier, also one that this CPU lacks; default: the best");
  sub->add_option("--only", o->only, "Only kernels whose name matches, as in 'matvec*'")
      ->type_name("PATTERN");
  sub->add_option(
         "-o,--out", o->out,
         "Write manifest.json, kernels.o and for each kernel its bytes (.bin) and listing (.s) to this "
         "folder, which must be new or empty")
      ->type_name("DIR");
  sub->add_option("-d,--n-depth", o->position, "Position of the token that is measured")
      ->transform(whole_number(0))
      ->capture_default_str();
  add_precision(*sub, o->precision);
  sub->add_flag("--json", o->json, "Print JSON");
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return kernels(*o);
    };
  });
}

}  // namespace llamajit::cli
