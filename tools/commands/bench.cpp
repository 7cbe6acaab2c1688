// llamajit bench: how fast a model, or a kernel alone, runs here, and how fast it could.
#include "runtime/measure/bench.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "jit/code/isa_choice.h"
#include "runtime/base/clock.h"
#include "runtime/files/model_reader.h"
#include "runtime/measure/kernel_bench.h"
#include "tools/commands/bench_drafts.h"
#include "tools/common/bundled_models.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"
#include "tools/common/generation.h"
#include "tools/common/inspection.h"
#include "tools/common/model_input.h"
#include "tools/common/printable.h"
#include "tools/common/ranks.h"
#include "tools/common/tune_cache.h"

namespace llamajit::cli {
namespace {

struct BenchOptions {
  std::string model;
  std::vector<int> prefill{128};
  std::vector<int> decode{128};
  std::vector<int> depth{0};
  std::vector<int> batch{1};
  std::vector<int> threads;
  int repeats = 3;
  std::optional<std::string> isa;
  Precision precision;
  InspectionFlags inspection;
  bool tune = false;
  bool json = false;
  std::optional<std::string> kernel;  // instead of a model
  int weights_mib = 256;              // for it
  DraftBenchOptions drafts;           // instead of the rest
};

struct Loaded {
  double load_ms = 0;  // from opening the file to the first token
  double pack_ms = 0;
  double emit_ms = 0;
  std::size_t kernels = 0;
  std::size_t code_bytes = 0;
};

struct BenchReport {
  std::string tier, why;  // it is this one
  Loaded loaded;
  std::vector<BenchResult> results;
};

std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

// Tells what is running, on one line of a terminal.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void begin(std::string what) {
    what_ = std::move(what);
    run_ = 0;
    show();
  }
  void step() {
    ++run_;
    show();
  }
  ~Progress() {
    if (terminal_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  void show() const {
    if (terminal_) std::fprintf(stderr, "\r\x1b[K%s, run %d", what_.c_str(), run_);
  }

  bool terminal_ = isatty(STDERR_FILENO) != 0;
  std::string what_;
  int run_ = 0;
};

// Each prefill and each decode at each depth, decodes with each number of sequences.
std::vector<BenchTest> tests_of(const BenchOptions& options) {
  std::vector<BenchTest> tests;
  for (const int depth : options.depth) {
    for (const int tokens : options.prefill) {
      if (tokens > 0) tests.push_back({BenchTest::Kind::prefill, tokens, depth});
    }
    for (const int tokens : options.decode) {
      for (const int batch : options.batch) {
        if (tokens > 0) tests.push_back({BenchTest::Kind::decode, tokens, depth, batch});
      }
    }
  }
  return tests;
}

BenchReport measure(const BenchOptions& options) {
  const jit::IsaChoice choice = jit::choose_isa(options.isa);
  const jit::Isa isa = choice.isa;
  BenchReport report;
  report.tier = to_string(isa.tier);
  report.why = choice.why;
  Progress progress;
  for (const int threads : options.threads) {
    warn_of_crowding(threads);
    const auto start = Clock::now();
    const ModelFile file = read_model(options.model);
    refuse_encoder(file);
    const int most = std::ranges::max(options.batch);
    const bool keeps_text = most > 1 || file.config.most(&LayerShape::window) > 0;  // besides
    const EngineOptions for_engine{.isa = isa,
                                   .threads = threads,
                                   .precision = options.precision,
                                   .tuning = remembered_tuning(isa, threads),
                                   .publication = publication_options(options.inspection),
                                   .sequences = keeps_text ? most + 1 : 1};
    Engine engine(file, on_ranks(for_engine, file));
    log_publication(engine.publication());
    engine.feed(1, 0, true);
    if (report.results.empty()) {
      report.loaded = {1e3 * seconds_since(start), engine.pack_ms(), engine.code().emit_ms(),
                       engine.code().kernels().size(), engine.code().code_bytes()};
    }
    if (options.tune) tune_and_remember(engine);
    for (const BenchTest& test : tests_of(options)) {
      progress.begin(fmt::format("{} on {} threads", test.name(), threads));
      report.results.push_back(run_bench(engine, test, options.repeats, [&] { progress.step(); }));
    }
  }
  return report;
}

std::string as_json(const BenchOptions& options, const BenchReport& report) {
  nlohmann::ordered_json json = {{"model", options.model},
                                 {"isa", report.tier},
                                 {"isa_why", report.why},
                                 {"threads", options.threads},
                                 {"load_ms", report.loaded.load_ms},
                                 {"pack_ms", report.loaded.pack_ms},
                                 {"emit_ms", report.loaded.emit_ms},
                                 {"kernels", report.loaded.kernels},
                                 {"code_bytes", report.loaded.code_bytes},
                                 {"peak_rss_bytes", peak_memory()}};
  json["tests"] = nlohmann::ordered_json::array();
  for (const BenchResult& r : report.results) {
    const bool decode = r.test.kind == BenchTest::Kind::decode;
    json["tests"].push_back({{"name", r.test.name()},
                             {"threads", r.threads},
                             {"depth", r.test.depth},
                             {"batch", r.test.batch},
                             {"tokens_per_second", r.tokens_per_second},
                             {"stddev", r.deviation},
                             {"bytes_per_token", r.bytes_per_token},
                             {"gb_per_second", r.bytes_per_second() / 1e9},
                             {"gop_per_second", r.operations_per_token * r.tokens_per_second / 1e9},
                             {"limit", r.limit / 1e9},
                             {"limit_unit", decode ? "GB/s" : "GOP/s"},
                             {"limit_share", r.limit_share}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_table(const BenchOptions& options, const BenchReport& report) {
  std::string out = fmt::format(
      "{}: tier {}, loaded in {:.1f} ms (packing {:.1f}), {} kernels of {} bytes emitted in {:.2f} ms, peak "
      "memory {:.1f} "
      "MiB\n",
      printable(options.model), report.tier, report.loaded.load_ms, report.loaded.pack_ms,
      report.loaded.kernels, report.loaded.code_bytes, report.loaded.emit_ms,
      static_cast<double>(peak_memory()) / (1 << 20));
  out += fmt::format("{:<14} {:>7} {:>5} {:>20} {:>12} {:>16} {:>7}\n", "test", "threads", "batch", "tok/s",
                     "reached", "limit", "share");
  for (const BenchResult& r : report.results) {
    const bool decode = r.test.kind == BenchTest::Kind::decode;
    const double reached = decode ? r.bytes_per_second() : r.operations_per_token * r.tokens_per_second;
    out += fmt::format(
        "{:<14} {:>7} {:>5} {:>11.1f} ± {:>6.1f} {:>12.1f} {:>10.1f} {:>5} {:>6.1f}%{}\n", r.test.name(),
        r.threads, r.test.batch, r.tokens_per_second, r.deviation, reached / 1e9, r.limit / 1e9,
        decode ? "GB/s" : "GOP/s", 100 * r.limit_share,
        r.test.batch > 1 ? fmt::format(", each {:.1f} tok/s", r.tokens_per_second / r.test.batch) : "");
  }
  return out;
}

// --- a kernel

std::vector<KernelBench> measure_kernel(const BenchOptions& options, jit::Isa isa) {
  const ProductShape shape = parse_product_shape(*options.kernel);
  std::vector<KernelBench> results;
  Progress progress;
  for (const int threads : options.threads) {
    warn_of_crowding(threads);
    progress.begin(fmt::format("{} on {} threads", *options.kernel, threads));
    results.push_back(
        run_kernel_bench(shape, {isa, threads, options.repeats, std::int64_t{options.weights_mib} << 20},
                         [&] { progress.step(); }));
  }
  return results;
}

std::string as_json(const BenchOptions& options, jit::Isa isa, const std::vector<KernelBench>& results) {
  nlohmann::ordered_json json = {{"kernel", *options.kernel}, {"isa", to_string(isa.tier)}};
  json["tests"] = nlohmann::ordered_json::array();
  for (const KernelBench& r : results) {
    for (const KernelResult& kernel : r.kernels) {
      json["tests"].push_back({{"name", kernel.name},
                               {"threads", r.threads},
                               {"matrices", r.matrices},
                               {"matrix_bytes", r.matrix_bytes},
                               {"us_per_call", kernel.seconds * 1e6},
                               {"gb_per_second", kernel.bytes_per_second() / 1e9},
                               {"read_limit", r.read_limit / 1e9},
                               {"read_share", kernel.read_share},
                               {"gop_per_second", kernel.operations_per_second() / 1e9},
                               {"multiply_limit", r.multiply_limit / 1e9},
                               {"multiply_share", kernel.multiply_share}});
    }
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_table(const BenchOptions& options, jit::Isa isa, const std::vector<KernelBench>& results) {
  std::string out;
  for (const KernelBench& r : results) {
    out += fmt::format(
        "{}: tier {}, threads {}, {} matrices of {:.1f} MiB; limits: {:.1f} GB/s, {:.1f} GOP/s\n",
        *options.kernel, to_string(isa.tier), r.threads, r.matrices,
        static_cast<double>(r.matrix_bytes) / (1 << 20), r.read_limit / 1e9, r.multiply_limit / 1e9);
    out += fmt::format("{:<40} {:>10} {:>9} {:>7} {:>9} {:>7}\n", "kernel", "us a call", "GB/s", "share",
                       "GOP/s", "share");
    for (const KernelResult& kernel : r.kernels) {
      out += fmt::format("{:<40} {:>10.1f} {:>9.1f} {:>6.1f}% {:>9.1f} {:>6.1f}%\n", kernel.name,
                         kernel.seconds * 1e6, kernel.bytes_per_second() / 1e9, 100 * kernel.read_share,
                         kernel.operations_per_second() / 1e9, 100 * kernel.multiply_share);
    }
  }
  return out;
}

int bench_kernel(const BenchOptions& options) {
  const jit::Isa isa = jit::choose_isa(options.isa).isa;
  const std::vector<KernelBench> results = measure_kernel(options, isa);
  write_out(options.json ? as_json(options, isa, results) : as_table(options, isa, results));
  return kOk;
}

// Throws std::invalid_argument for what the measure of a text has no use for.
void refuse_with_drafts(const CLI::App& sub, const BenchOptions& options) {
  for (const char* const name : {"--kernel", "--n-prompt", "--n-depth", "--batch", "--tune"}) {
    if (sub.count(name) == 0) continue;
    throw std::invalid_argument(
        fmt::format("{}: expected none with drafts, which are measured along one text", name));
  }
  const auto expect_one = [](const char* name, const std::vector<int>& list) {
    if (list.size() == 1) return;
    throw std::invalid_argument(
        fmt::format("{}: expected one number with drafts, found {}", name, list.size()));
  };
  expect_one("--n-gen", options.decode);
  expect_one("--threads", options.threads);
}

int bench_drafts(BenchOptions& options) {
  const auto opened = open_model_and_tokenizer(options.model, std::nullopt);
  refuse_encoder(opened.model);
  const jit::Isa isa = jit::choose_isa(options.isa).isa;
  const int threads = options.threads.front();
  options.drafts.tokens = options.decode.front();
  options.drafts.repeats = options.repeats;
  Progress progress;
  progress.begin(fmt::format("a text on {} threads", threads));
  const DraftBench result = run_draft_bench(opened,
                                            {.isa = isa,
                                             .threads = threads,
                                             .context = options.drafts.context,
                                             .precision = options.precision,
                                             .tuning = remembered_tuning(isa, threads),
                                             .sequences = 2},
                                            options.drafts, [&] { progress.step(); });
  write_out(options.json ? as_json(result) : as_table(result));
  return kOk;
}

int bench(const CLI::App& sub, BenchOptions& options) {
  if (options.threads.empty()) options.threads = {default_threads()};
  if (options.drafts.drafts.any()) {
    refuse_with_drafts(sub, options);
    return bench_drafts(options);
  }
  if (sub.count("--ctx-size") > 0) {
    throw std::invalid_argument("--ctx-size: expected drafts beside it, which are measured along a text");
  }
  if (options.kernel) return bench_kernel(options);
  const BenchReport report = measure(options);
  write_out(options.json ? as_json(options, report) : as_table(options, report));
  return kOk;
}

}  // namespace

void add_bench(CLI::App& app, Command& command) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* sub = app.add_subcommand("bench", "Measure prefill and decode, beside the machine's limits");
  CLI::Option* const model = add_model(*sub, o->model, kModelText);
  CLI::Option* const kernel =
      sub->add_option("--kernel", o->kernel,
                      "FORMAT:ROWSxCOLS[:TOKENS]: instead of a model, its kernels of one matrix alone, on "
                      "random weights; of several tokens, matvec and matmul")
          ->type_name("SHAPE")
          ->check(not_empty("FORMAT:ROWSxCOLS or FORMAT:ROWSxCOLS:TOKENS"))
          ->excludes(model);
  sub->add_option("--weights-mib", o->weights_mib,
                  "With --kernel: MiB that its matrices, multiplied in turns, take together")
      ->transform(whole_number(1, 1 << 20))
      ->needs(kernel)
      ->capture_default_str();
  // Lists are one word: what follows it may be a model.
  const auto add_list = [&](const char* names, std::vector<int>& list, const char* text,
                            const CLI::Validator& check) {
    return sub->add_option(names, list, text)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->transform(check)
        ->capture_default_str()
        ->type_name("N,N...");
  };
  add_list("-p,--n-prompt", o->prefill, "Tokens of a prefill run, as in 128,512; 0: none", whole_number(0));
  add_list("-n,--n-gen", o->decode, "Tokens of a decode run, as in 16,64; 0: none", whole_number(0));
  add_list("-d,--n-depth", o->depth, "Positions in the cache before the run, as in 0,1024", whole_number(0));
  add_list("--batch", o->batch, "Sequences that decode together, as in 1,2,4,8", whole_number(1, 1024));
  add_list("-t,--threads", o->threads, "Numbers of threads, as in 1,2; default: as many as CPUs",
           whole_number(1, 1024));
  sub->add_option("-r,--repetitions", o->repeats, "Runs that count")
      ->transform(whole_number(1, 1000))
      ->capture_default_str();
  add_isa(*sub, o->isa, "Instruction tier; default: the fastest of this CPU");
  add_precision(*sub, o->precision);
  add_inspection(*sub, o->inspection);
  add_tune(*sub, o->tune);
  add_draft_bench(*sub, o->drafts);
  sub->add_flag("--json", o->json, "Print JSON");
  sub->callback([o, sub, &command] {
    command = [o, sub] {
      if (!o->kernel) o->model = named_or_bundled(o->model);
      return bench(*sub, *o);
    };
  });
}

}  // namespace llamajit::cli
