#include "tools/commands/bench_drafts.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/generate/generate.h"
#include "runtime/measure/statistics.h"
#include "tools/common/checks.h"
#include "tools/common/cli.h"

namespace llamajit::cli {
namespace {

class Runs {
 public:
  Runs(const ModelAndTokenizer& model, const EngineOptions& engine, const DraftBenchOptions& options)
      : options_(options),
        model_(model),
        engine_(model.model, engine),
        drafts_(options.drafts, engine, engine_, model) {
    const std::string text = options.prompt_file ? read_file(*options.prompt_file) : "Once upon a time";
    prompt_ = model.tokenizer->encode(text, {.eos = false, .special = true});
    check_fits(prompt_, engine_);
  }

  DraftBench measure(const std::function<void()>& step) {
    DraftBench result;
    std::vector<double> without, with;
    const std::vector<TokenId> text = write(nullptr).tokens;  // and warms up
    result.tokens = static_cast<int>(text.size());
    for (int run = 0; run < options_.repeats; ++run) {
      without.push_back(write(nullptr).rate);
      step();
      const auto drafts = drafts_.begin_text();
      const Written drafted = write(drafts.get());
      with.push_back(drafted.rate);
      step();
      if (drafted.tokens != text)
        throw std::runtime_error("drafts: expected the text that is written without them");
      result.counts.steps += drafts->counts().steps;
      result.counts.drafted += drafts->counts().drafted;
      result.counts.accepted += drafts->counts().accepted;
    }
    result.without = {mean(without), deviation(without)};
    result.with = {mean(with), deviation(with)};
    return result;
  }

 private:
  struct Written {
    std::vector<TokenId> tokens;
    double rate;
  };

  Written write(Speculation* drafts) {
    Sampler sampler(options_.sampler, [&](std::span<float> x, float scale) { engine_.softmax(x, scale); });
    GenerationOptions how{.max_tokens = options_.tokens};
    how.ends = ends_of(model_.tokenizer->vocab().special(), false);
    how.drafts = drafts;
    engine_.sequence().cut(0);
    Written written;
    const Generation result =
        generate(engine_, sampler, prompt_, how, [&](TokenId token) { written.tokens.push_back(token); });
    // The first token comes of the prompt.
    written.rate = result.generation_seconds > 0
                       ? std::max(result.generated_tokens - 1, 0) / result.generation_seconds
                       : 0;
    return written;
  }

  const DraftBenchOptions& options_;
  const ModelAndTokenizer& model_;
  Engine engine_;
  Drafts drafts_;
  std::vector<TokenId> prompt_;
};

double per_step(const DraftBench& result) {
  const DraftCounts& counts = result.counts;
  return counts.steps > 0 ? static_cast<double>(counts.steps + counts.accepted) / counts.steps : 0;
}

}  // namespace

DraftBench run_draft_bench(const ModelAndTokenizer& model, const EngineOptions& engine,
                           const DraftBenchOptions& options, const std::function<void()>& step) {
  return Runs(model, engine, options).measure(step);
}

void add_draft_bench(CLI::App& sub, DraftBenchOptions& options) {
  add_drafts(sub, options.drafts);
  constexpr const char* kGroup = "Drafts";
  sub.add_option("--prompt-file", options.prompt_file,
                 "What the text goes on from; default: a story's beginning")
      ->type_name("FILE")
      ->group(kGroup);
  sub.add_option("-c,--ctx-size", options.context,
                 "The text's context in tokens; 0, and by default: the model's")
      ->transform(whole_number(0))
      ->group(kGroup);
  sub.add_option("--temp", options.sampler.temperature, "The text's temperature")
      ->transform(number(0, 1e9))
      ->capture_default_str()
      ->group(kGroup);
  sub.add_option("-s,--seed", options.sampler.seed, "Seed of its draws")
      ->transform(whole_number(0, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str()
      ->group(kGroup);
}

std::string as_table(const DraftBench& r) {
  std::string out =
      fmt::format("{:<16} {:>20} {:>9} {:>9} {:>13}\n", "text", "tok/s", "guessed", "right", "tokens a step");
  out += fmt::format("{:<16} {:>11.1f} ± {:>6.1f}\n", fmt::format("{} tokens", r.tokens), r.without.mean,
                     r.without.deviation);
  const double right = r.counts.drafted > 0 ? 100.0 * r.counts.accepted / r.counts.drafted : 0;
  out += fmt::format("{:<16} {:>11.1f} ± {:>6.1f} {:>9} {:>8.1f}% {:>13.2f}\n", "with drafts", r.with.mean,
                     r.with.deviation, r.counts.drafted, right, per_step(r));
  return out + fmt::format("{:.2f} times as fast, the same text\n", r.ratio());
}

std::string as_json(const DraftBench& r) {
  const auto rates = [](const DraftBench::Rates& of) {
    return nlohmann::ordered_json{{"tokens_per_second", of.mean}, {"stddev", of.deviation}};
  };
  return nlohmann::ordered_json{{"tokens", r.tokens},           {"without_drafts", rates(r.without)},
                                {"with_drafts", rates(r.with)}, {"ratio", r.ratio()},
                                {"drafted", r.counts.drafted},  {"accepted", r.counts.accepted},
                                {"steps", r.counts.steps},      {"tokens_per_step", per_step(r)}}
             .dump(2) +
         "\n";
}

}  // namespace llamajit::cli
