// llamajit report: a model's machine code and its costs, as one page.
#include "tools/report/report.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "runtime/base/file_replacement.h"
#include "runtime/files/model_reader.h"
#include "runtime/measure/limits.h"
#include "runtime/measure/some_tokens.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/model_input.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

struct ReportOptions {
  std::string model;
  std::string out;
  std::optional<std::string> isa;
  std::string only = "*";
  int position = 128;
  Precision precision;
  bool no_timing = false;
};

// Whole tokens at the profile's position, then whole chunks of a prompt.
void sample(Engine& engine, const MeasuredKernels& kernels, Measurements& m) {
  constexpr double kTokenSeconds = 1.5;
  constexpr double kPromptSeconds = 1;
  const int position = kernels.token.position;
  const TokenId token = some_tokens(position + 1, engine.config().vocab_size).back();
  m.token_samples = sample_code(engine, kTokenSeconds, [&] { engine.feed(token, position, true); });
  const std::vector<TokenId> prompt = some_tokens(kernels.prompt.tokens, engine.config().vocab_size);
  m.prompt_samples = sample_code(engine, kPromptSeconds, [&] { engine.feed_all(prompt, 0); });
}

Measurements measure(Engine& engine, const MeasuredKernels& kernels) {
  Measurements m;
  m.date = fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::now()));
  m.emit_ms = engine.code().emit_ms();
  m.token_seconds = token_seconds(engine, kernels.token.position);
  if (!engine.code().isa().generates()) return m;
  const MachineLimits limits(engine);
  const jit::Format format = engine.weights().layers.front().wq.format;
  m.roofs = Roofs{.weights = limits.read_weights(),
                  .cached = limits.read_cached(),
                  .multiply = limits.multiply_f32(),
                  .dot = input_format(format) ? limits.multiply(format) : 0,
                  .dot_type = has_codes(format) ? "int8" : "bf16"};
  sample(engine, kernels, m);
  return m;
}

Report make_report(const ModelFile& file, Engine& engine, const ReportOptions& options) {
  Report report{file, engine, {}, {}, {}};
  if (options.no_timing || !runs_here(engine.code().isa())) {
    report.kernels = count_kernels(engine, options.only);
    report.why_not_measured = options.no_timing ? "--no-timing was given" : "this CPU lacks the tier";
    return report;
  }
  report.kernels = measure_kernels(engine, options.only, options.position);
  report.measurements = measure(engine, report.kernels);
  return report;
}

int report(const ReportOptions& options) {
  std::optional<FileReplacement> out;
  if (options.out != "-") out.emplace(options.out);
  const jit::Isa isa = isa_to_show(options.isa);
  const ModelFile file = read_model(options.model);
  refuse_encoder(file);
  if (out) refuse_replacing(options.out, files_of(file, std::nullopt));
  // The kernels that run takes, though measured one by one.
  Engine engine(file, {isa, 1, 0, options.precision, remembered_tuning(isa, default_threads())});
  const std::string page = report_page(make_report(file, engine, options));
  if (!out) {
    write_out(page);
    return kOk;
  }
  out->write(page);
  out->commit();
  spdlog::info("{} kernels in {}", engine.code().kernels().size(), options.out);
  return kOk;
}

}  // namespace

int Report::number(const jit::KernelInfo& kernel) const {
  const auto found = std::ranges::find(kernels.rows, &kernel, &KernelRow::kernel);
  return found == kernels.rows.end() ? 0 : static_cast<int>(found - kernels.rows.begin()) + 1;
}

bool reads_memory(const jit::KernelKey& key) {
  return std::holds_alternative<jit::MatvecKey>(key) || std::holds_alternative<jit::MatmulKey>(key) ||
         std::holds_alternative<jit::AttentionKey>(key) ||
         std::holds_alternative<jit::AttentionRangesKey>(key);
}

bool multiplies_prepared(const jit::KernelKey& key) {
  const auto* matvec = std::get_if<jit::MatvecKey>(&key);
  const auto* matmul = std::get_if<jit::MatmulKey>(&key);
  return (matvec != nullptr && input_format(matvec->format)) ||
         (matmul != nullptr && input_format(matmul->format));
}

Performance performance(const KernelProfile& profile, const Roofs& roofs) {
  if (profile.seconds <= 0) return {};
  Performance p;
  p.bytes_per_second = static_cast<double>(profile.work.bytes) / profile.seconds;
  p.operations_per_second = static_cast<double>(profile.work.operations) / profile.seconds;
  const jit::KernelKey& key = profile.kernel->key;
  const double bandwidth = reads_memory(key) ? roofs.weights : roofs.cached;
  const double arithmetic = multiplies_prepared(key) ? roofs.dot : roofs.multiply;
  p.roof_share = std::max(p.bytes_per_second / bandwidth, p.operations_per_second / arithmetic);
  return p;
}

void add_report(CLI::App& app, Command& command) {
  auto o = std::make_shared<ReportOptions>();
  CLI::App* sub = app.add_subcommand(
      "report", "Write a page on a model's kernels: costs, limits, and listings with their hot lines");
  add_model(*sub, o->model, kModelText);
  sub->add_option("-o,--out", o->out, "The HTML file to write; - for standard output")
      ->type_name("FILE")
      ->required();
  add_isa(*sub, o->isa, "Instruction tier, also one that this CPU lacks; default: the best");
  sub->add_option("--only", o->only, "Only kernels whose name matches, as in 'matvec*'")
      ->type_name("PATTERN");
  sub->add_option("-d,--n-depth", o->position, "Position of the token that is measured")
      ->transform(whole_number(0))
      ->capture_default_str();
  add_precision(*sub, o->precision);
  sub->add_flag("--no-timing", o->no_timing,
                "Run nothing: shapes and listings only, the same bytes each time");
  sub->callback([o, &command] {
    command = [o] {
      o->model = named_or_bundled(o->model);
      return report(*o);
    };
  });
}

}  // namespace llamajit::cli
