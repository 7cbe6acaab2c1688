// A text with drafts and without, in turns.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/forward/engine.h"
#include "runtime/generate/sampler.h"
#include "tools/common/drafts.h"

namespace llamajit::cli {

struct DraftBenchOptions {
  DraftOptions drafts;
  std::optional<std::string> prompt_file;  // default: the beginning of a story
  SamplerOptions sampler;
  int context = 0;  // tokens; 0: the model's
  int tokens = 128;
  int repeats = 3;
};

struct DraftBench {
  struct Rates {
    double mean = 0, deviation = 0;  // tokens a second, behind the first token
  };
  int tokens = 0;  // of the text, which may end before it has all that were asked for
  Rates without, with;
  DraftCounts counts;  // of all runs with drafts

  double ratio() const { return without.mean > 0 ? with.mean / without.mean : 0; }
};

// Throws std::runtime_error, also should the texts differ.
DraftBench run_draft_bench(const ModelAndTokenizer& model, const EngineOptions& engine,
                           const DraftBenchOptions& options, const std::function<void()>& step);

// --prompt-file, --ctx-size, --temp, --seed and those of drafts.
void add_draft_bench(CLI::App& sub, DraftBenchOptions& options);

std::string as_table(const DraftBench& result);
std::string as_json(const DraftBench& result);

}  // namespace llamajit::cli
