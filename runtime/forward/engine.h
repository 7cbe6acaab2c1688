// The facade: a checkpoint becomes machine code and packed weights once, then takes tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/code/code_cache.h"
#include "jit/inspect/publication.h"
#include "runtime/base/ranks.h"
#include "runtime/base/team.h"
#include "runtime/forward/batch.h"
#include "runtime/forward/exchange.h"
#include "runtime/forward/journal.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/rows_program.h"
#include "runtime/forward/sequence.h"
#include "runtime/forward/token_program.h"
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

class Engine;

struct EngineOptions {
  jit::Isa isa;
  int threads = 1;
  int context = 0;  // positions; 0: as many as the model was made for
  Precision precision{};
  Tuning tuning{};
  jit::inspect::PublicationOptions publication{};  // whom to tell of the kernels: nobody
  // Whose pages there is room for, of `context` positions each; the engine's own among them.
  int sequences = 1;
  // Of all sequences together, at least `context`; 0: as many as they may have.
  std::int64_t cache_positions = 0;
  // A packed file of the model (packed_file.h), to be mapped; empty: weights are packed.
  std::string packed{};
  // The processes that run the model together; nullptr: this one alone. What rank 0 does with its engine the others do
  // in follow().
  Ranks* ranks = nullptr;
  std::vector<int> shares{};  // of each rank; empty: all have the same
  bool in_step = false;       // all ranks call the same of their engines, so that none needs to be told
  // Of a layer that drafts: the engine of its model, which has what the layer does not bring, and outlives it.
  const Engine* model = nullptr;
};

// Of a row of a step, what it wants: its logits (vocab_size), which the receiver may overwrite, with the first of
// their maxima, or its hidden state (dim), the residual stream behind the final norm; each in a call of its own.
struct RowOutput {
  std::span<float> logits{};
  TokenId best = -1;
  std::span<const float> hidden{};
};

class Engine {
 public:
  // Packs the weights and generates the kernels; `file` is needed no longer then. Throws std::runtime_error.
  Engine(const ModelFile& file, const EngineOptions& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  const Config& config() const { return config_; }
  int context() const { return context_; }  // positions that fit, in tokens
  int threads() const { return team_.size(); }

  // Takes all rows of a batch through the layers, a chunk of at most chunk() rows at a time, and shows `see`
  // what its rows want, of each chunk logits in the rows' order, then hidden states likewise. Every row's output has
  // the bits that it has alone, whatever else is in the step. Throws std::runtime_error, with nothing changed, if a
  // sequence would outgrow the context or the cache has too few pages. An encoder's rows are whole texts, each of a
  // sequence that is empty, and want no logits.
  using SeeRow = std::function<void(std::size_t row, const RowOutput& output)>;
  void step(const Batch& batch, const SeeRow& see);
  // Throws if step() would.
  void check_fits(const Batch& batch) const;
  bool fits(const Batch& batch) const { return misfit(batch).empty(); }
  // Tokens of a prompt, or of several sequences, that go through a matrix together: enough to hide reading it
  // from memory behind the arithmetic, more where each goes to some of many experts; of encoders, the longest text.
  int chunk() const { return program_->row_state.rows; }

  // An empty one in this engine's cache, which must outlive it.
  Sequence new_sequence() { return Sequence(kv_cache_); }

  // --- the engine's own sequence, for those who need just one
  Sequence& sequence() { return sequence_; }
  const Sequence& sequence() const { return sequence_; }
  // Takes `token` at position `pos` (0 <= pos < context(), all before it fed) through the layers; what stood
  // there and behind is forgotten. With `logits`, its logits are computed too. Throws std::runtime_error where the
  // model is an encoder, as the next two do.
  void feed(TokenId token, int pos, bool logits);
  // Takes a whole prompt (or any run of tokens) at positions `pos` and up through the layers; the logits are
  // those of its last token. Gives the same bits as feeding the tokens one by one.
  void feed_all(std::span<const TokenId> tokens, int pos);
  // The same, showing `see` the logits of each token from tokens[first] on, with its index.
  using SeeLogits = std::function<void(std::size_t index, std::span<const float> logits)>;
  void feed_each(std::span<const TokenId> tokens, int pos, std::size_t first, const SeeLogits& see);

  // Of the last token fed with logits: (vocab_size). The sampler may overwrite them.
  std::span<float> logits() { return program_->token.logits(); }
  // The first maximum of the logits as they were computed.
  TokenId argmax() const { return program_->token.argmax(); }
  // x = softmax(x * scale), x of vocab_size values.
  void softmax(std::span<float> x, float scale) const { program_->token.softmax(x, scale); }

  // Generates all kernels anew, as chosen; the KV cache stays as it is.
  void use(const Tuning& tuning);
  const Tuning& tuning() const { return tuning_; }

  double pack_ms() const { return pack_ms_; }
  const jit::CodeCache& code() const { return program_->code; }
  const jit::inspect::Publication& publication() const { return *program_->publication; }
  const Weights& weights() const { return weights_; }
  const KvCache& kv_cache() const { return kv_cache_; }
  const RopeTables& rope() const { return rope_; }
  Team& team() { return team_; }
  Peers* peers() const { return peers_.get(); }

  // --- for those who walk the programs themselves, to measure or to verify
  TokenProgram& token_program() { return program_->token; }
  const TokenProgram& token_program() const { return program_->token; }
  // What takes n rows, or computes n rows' logits.
  RowsProgram& rows_program(std::int64_t n);
  RowState& rows() { return program_->row_state; }
  // Appends rows (at most chunk()) to their sequences and places them where the rows' programs find them. The
  // pieces live until the next call.
  Rows place(std::span<const Batch::Row> rows);
  // The same for a token, which the token's program finds.
  void place(const Batch::Row& row);

 private:
  // What keeps step() from it; nothing where nothing does.
  std::string misfit(const Batch& batch) const;
  void step_of_ranks(const Batch& batch, const SeeRow& see);
  void step_alone(const Batch& batch, const SeeRow& see);
  std::string page_misfit(const Batch& batch, std::size_t kind) const;
  static std::string text_misfit(const Batch& batch);
  std::size_t rows_of_step(std::span<const Batch::Row> rows) const;
  void catch_up(Sequence& sequence);
  void point_rows(std::size_t first, const Sequence& sequence, int pos, int n);
  void begin_step(Sequence& sequence, int tokens);
  void step_rows(std::span<const Batch::Row> rows, std::size_t first, const SeeRow& see);
  using RowNumbers = std::vector<std::size_t>;  // within the step at hand
  void classify_rows(const RowNumbers& wanted, std::size_t first, const SeeRow& see);
  void show_hidden(const RowNumbers& wanted, std::int64_t rows, std::size_t first, const SeeRow& see);
  void run_token(bool logits);
  void check_residual();
  void classify_token(std::span<const float> residual);

  // All kernels and what calls them.
  struct Kernels {
    explicit Kernels(const Engine& engine);
    jit::CodeCache code;
    Model model;
    TokenProgram token;
    RowState row_state;
    std::vector<std::unique_ptr<RowsProgram>> rows;  // for matvec_rows(), then for any number
    std::optional<jit::inspect::Publication> publication;
  };

  Config config_;
  jit::Isa isa_;
  int context_;
  double pack_ms_ = 0;
  std::unique_ptr<Peers> peers_;      // nullptr: there are none
  std::unique_ptr<Journal> journal_;  // of rank 0
  Team team_;
  Weights weights_;
  KvCache kv_cache_;
  RopeTables rope_;
  Tuning tuning_;
  jit::inspect::PublicationOptions publication_;
  Sequence sequence_;
  std::vector<RowRun> runs_;
  std::unique_ptr<Kernels> program_;
};

}  // namespace llamajit
