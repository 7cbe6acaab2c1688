// The facade: a checkpoint becomes machine code and packed weights once, then takes tokens.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "jit/code/code_cache.h"
#include "jit/inspect/publication.h"
#include "runtime/base/team.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/plan.h"
#include "runtime/forward/prefill.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/tuning.h"
#include "runtime/forward/weights.h"
#include "runtime/model/model_file.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// What a model's numbers are rounded to on their way, beside its weights' own formats.
struct Precision {
  std::optional<jit::ElementType> kv_type{};  // default: f32 where products are of f32, else f16
  Bf16Products bf16 = Bf16Products::stored_so;
};

struct EngineOptions {
  jit::Isa isa;
  int threads = 1;
  int context = 0;  // positions; 0: as many as the model was made for
  Precision precision{};
  Tuning tuning{};
  jit::inspect::PublicationOptions publication{};  // whom to tell of the kernels: nobody
};

class Engine {
 public:
  // Packs the weights and generates the kernels; `file` is needed no longer then. Throws std::runtime_error.
  Engine(const ModelFile& file, const EngineOptions& options);

  const Config& config() const { return config_; }
  int context() const { return context_; }  // positions that fit, in tokens
  int threads() const { return team_.size(); }

  // Takes `token` at position `pos` (0 <= pos < context(), all before it fed) through the layers. With
  // `logits`, its logits are computed too.
  void feed(TokenId token, int pos, bool logits);
  // Takes a whole prompt (or any run of tokens) at positions `pos` and up through the layers, a chunk at a
  // time; the logits are those of its last token. Gives the same bits as feeding the tokens one by one.
  void feed_all(std::span<const TokenId> tokens, int pos);
  // The same, showing `see` the logits of each token from tokens[first] on, with its index.
  using SeeLogits = std::function<void(std::size_t index, std::span<const float> logits)>;
  void feed_each(std::span<const TokenId> tokens, int pos, std::size_t first, const SeeLogits& see);
  // Of the last token fed with logits: (vocab_size). The sampler may overwrite them.
  std::span<float> logits() { return program_->plan.logits(); }
  // The first maximum of the logits as they were computed.
  TokenId argmax() const { return program_->plan.argmax(); }
  // x = softmax(x * scale), x of vocab_size values.
  void softmax(std::span<float> x, float scale) const { program_->plan.softmax(x, scale); }

  // Generates all kernels anew, as chosen; the KV cache stays as it is.
  void use(const Tuning& tuning);
  const Tuning& tuning() const { return tuning_; }

  double pack_ms() const { return pack_ms_; }
  const jit::CodeCache& code() const { return program_->code; }
  const jit::inspect::Publication& publication() const { return *program_->publication; }
  const Weights& weights() const { return weights_; }
  const KvCache& kv_cache() const { return kv_cache_; }
  const RopeTable& rope() const { return rope_; }
  Team& team() { return team_; }
  Prefill& prefill() { return program_->prefill; }
  Plan& plan() { return program_->plan; }
  const Plan& plan() const { return program_->plan; }

 private:
  void classify();

  // All kernels and what calls them.
  struct Program {
    explicit Program(const Engine& engine);
    jit::CodeCache code;
    Plan plan;
    Prefill prefill;
    std::optional<jit::inspect::Publication> publication;
  };

  Config config_;
  jit::Isa isa_;
  int context_;
  double pack_ms_ = 0;
  Team team_;
  Weights weights_;
  KvCache kv_cache_;
  RopeTable rope_;
  Tuning tuning_;
  jit::inspect::PublicationOptions publication_;
  std::unique_ptr<Program> program_;
};

}  // namespace llamajit
