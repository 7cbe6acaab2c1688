// A chunk of the prompt at once: the same layers as a Plan's, with matmul in the place of matvec.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "jit/code/code_cache.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/weights.h"
#include "tokenizer/vocab.h"

namespace llamajit {

struct PrefillKernels;

// Sees every kernel call of a chunk in the place of the call itself.
class KernelObserver {
 public:
  virtual ~KernelObserver() = default;
  virtual void call(const jit::KernelInfo& kernel, const void* args) = 0;
};

// Each matrix is read once for the whole chunk. Work on single tokens (norm, quantisation) is split by
// tokens, attention by heads, of which threads that share one (heads_of()) each take some tokens, and
// matrices are dealt out by rows; between these lies a barrier:
//
//   embedding, norm (+quantise) | q, k, v | rope -> append, attention | quantise | o, x += | norm
//   (+quantise) | gate, up, swiglu | quantise | down, x +=, and so on
//
// All results are the bits that feeding the tokens one by one gives.
class Prefill {
 public:
  // Generates its kernels into `code`. Chunks may have up to `chunk` tokens.
  Prefill(const Config& config, const Weights& weights, const KvCache& kv_cache, const RopeTable& rope,
          jit::CodeCache& code, int threads, int chunk);
  Prefill(const Prefill&) = delete;
  Prefill& operator=(const Prefill&) = delete;
  ~Prefill();

  int chunk() const { return chunk_; }

  // Takes tokens (at most a chunk) at positions `pos`, pos+1, … through all layers; afterwards `last` (dim)
  // holds the last one's residual stream. All positions before must have been fed.
  void feed(std::span<const TokenId> tokens, int pos, float* last, Team& team);
  // The logits of `n` tokens (at most kClassified) of the chunk that was fed last, from number `first` on: of
  // each the bits that classifying it alone gives.
  static constexpr int kClassified = 32;
  void classify(std::int64_t first, std::int64_t n, Team& team);
  // (vocab_size), of token number `i` of those.
  std::span<const float> logits(std::int64_t i) const {
    return {logits_ + i * jit::row_stride(config_.vocab_size), static_cast<std::size_t>(config_.vocab_size)};
  }
  // Both on the calling thread alone (for a team of one), showing every kernel call to the observer.
  void feed_observed(std::span<const TokenId> tokens, int pos, float* last, Team& team,
                     KernelObserver& observer);
  void classify_observed(std::int64_t first, std::int64_t n, Team& team, KernelObserver& observer);

 private:
  class Walker;

  void place(Carver& carver, int threads);
  void place_prepared(Carver& carver, std::int64_t tokens);

  Config config_;
  const Weights& weights_;
  const KvCache& cache_;
  const RopeTable& rope_;
  int chunk_;
  std::unique_ptr<PrefillKernels> kernels_;
  KernelObserver* observer_ = nullptr;
  std::int64_t round_ = 0;            // of the layers' deals: chunks so far
  std::int64_t classifications_ = 0;  // and of the classifier's

  // (chunk, …), rows row_stride() apart, within memory_.
  PagedMemory memory_;
  float* x_ = nullptr;                      // (chunk, dim): the residual stream
  float* norm_ = nullptr;                   // (chunk, dim)
  float* q_ = nullptr;                      // (chunk, q_dim)
  float* k_ = nullptr;                      // (chunk, kv_dim)
  float* v_ = nullptr;                      // (chunk, kv_dim)
  float* att_ = nullptr;                    // (chunk, q_dim)
  float* hidden_ = nullptr;                 // (chunk, hidden_dim)
  float* logits_ = nullptr;                 // (kClassified, vocab_size)
  std::vector<jit::QuantizedArgs> xq_;      // an input, in each way in which its matrices want it
  std::vector<std::byte*> matmul_scratch_;  // of each thread
  std::vector<float*> attention_scratch_;   // of each thread
  std::vector<jit::Cursor> at_;             // of each token
};

}  // namespace llamajit
