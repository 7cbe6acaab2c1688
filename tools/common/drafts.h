// Where a text's drafts come from, as options have it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "runtime/draft/speculation.h"
#include "runtime/draft/token_history.h"
#include "runtime/forward/engine.h"
#include "tools/common/model_input.h"

namespace llamajit::cli {

struct DraftOptions {
  std::optional<std::string> model;   // a smaller one, with the same vocabulary
  bool mtp = false;                   // a layer that the model brings for it
  bool lookup = false;                // what came before in the text itself
  std::optional<std::string> ngrams;  // what came in another one: a file of `llamajit ngrams`
  bool asked = false;                 // --draft was given
  std::optional<int> tokens;          // of each draft; nothing: as many as pay
  int threads = 0;                    // of the smaller model or the layer; 0: as suits it

  bool any() const { return (model || mtp || lookup || ngrams || asked) && tokens != 0; }
};

// --model-draft, --mtp, --lookup, --ngrams, --draft, --threads-draft.
void add_drafts(CLI::App& sub, DraftOptions& options);

// The drafters' common parts, for one text or for several.
class Drafts : public DraftSource {
 public:
  // For texts of a model with this engine, which has these options and outlives them. Throws std::runtime_error, for
  // another vocabulary, too.
  Drafts(const DraftOptions& options, const EngineOptions& of_engine, const Engine& engine,
         const ModelAndTokenizer& model);

  std::unique_ptr<Speculation> begin_text() override;
  DraftBudget& budget() override { return budget_; }

 private:
  void load_model(const DraftOptions& options, const EngineOptions& of_engine,
                  const ModelAndTokenizer& model);
  void load_layer(const DraftOptions& options, const EngineOptions& of_engine, const Engine& engine,
                  const ModelFile& model);

  int vocab_size_;
  bool looks_up_;
  std::shared_ptr<const TokenHistory> other_;
  std::optional<Engine> engine_;  // of the smaller model or the layer
  DraftBudget budget_;
};

}  // namespace llamajit::cli
