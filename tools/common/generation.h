// Loads a model with its tokenizer and generates text to standard output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "jit/code/isa_choice.h"
#include "runtime/forward/engine.h"
#include "runtime/generate/generate.h"
#include "runtime/generate/sampler.h"
#include "tools/common/drafts.h"
#include "tools/common/inspection.h"
#include "tools/common/packed_model.h"

namespace llamajit::cli {

struct TextRequest {
  std::string model;
  std::optional<std::string> tokenizer;  // tokenizer.bin; default: inside the model's file, or beside it
  std::string prompt;
  bool echo = true;     // the prompt is part of the output
  bool special = true;  // names of control tokens in the prompt stand for them, where the tokenizer has it so
  bool normalize = true;  // the prompt is brought into Unicode's form C, where the tokenizer does that
  std::vector<std::string> stops;  // end the text, and are no part of it
  bool escape = false;             // \n in a prompt and in stops stands for a new line
  bool color = false;              // the prompt's, on a terminal
  int threads = 1;
  int context = 0;  // 0: the model's
  std::optional<std::string> isa;
  Precision precision;
  PackedOptions packed;
  InspectionFlags inspection;
  bool tune = false;
  bool mlock = false;
  bool sandbox = true;                     // once the model is loaded
  std::optional<std::string> grammar;      // files, one at most: what is generated is held to GBNF,
  std::optional<std::string> json_schema;  // or to a JSON schema
  DraftOptions drafts;
  SamplerOptions sampler;
  GenerationOptions generation;
};

// Prompt and text go to standard output as they come, whole characters at a time; what was loaded, why it
// stopped and how fast it was go to the log. Returns the exit code. Throws what the library throws.
int generate_text(const TextRequest& request);

// Returns the part of a request that is the engine's.
EngineOptions engine_options(const TextRequest& request, const ModelFile& file, const jit::IsaChoice& choice);
// Says what was loaded, `why` the tier was chosen, and the seed that gives the same draws again.
void log_loaded(const TextRequest& request, const ModelFile& file, const Engine& engine,
                const std::string& why);

// What drafts came to.
void log_drafts(const DraftCounts& counts, int tokens);

// Tokens per second; 0 for no time at all.
inline double rate(int tokens, double seconds) {
  return seconds > 0 ? tokens / seconds : 0;
}

// Locks what the process has in memory, where the system allows it; says why where it does not.
void lock_memory();

// As many threads as there are CPUs for this process.
int default_threads();
// Says so on standard error where threads are more than default_threads().
void warn_of_crowding(int threads);

}  // namespace llamajit::cli
