// The steps of one token.
#pragma once

#include <span>
#include <vector>

#include "jit/kernels/argmax.h"
#include "runtime/base/memory.h"
#include "runtime/forward/lowering.h"

namespace llamajit {

// A token's steps are two programs: `feed` takes it through all layers into the KV cache, `classify` turns
// the result into logits and their argmax. A prompt needs the second for its last token only.
//
//   feed      embedding row -> x, barrier
//     layer   norm (+quantise) -> q, k, v (+norm) -> rope -> append to the cache -> attention, barrier
//             (norm) o, x +=, barrier -> norm (+quantise) -> gate, up, swiglu, barrier
//             (norm) down, x +=, barrier
//     experts norm (+quantise) -> their logits, barrier -> choice -> gate, up, swiglu of the chosen, barrier
//             quantise -> down, barrier -> x += their sum, barrier
//   classify  norm (+quantise) -> logits (where they are dealt out, a barrier) -> the best of each thread's
//   share
//
// With a parallel residual, the feed-forward's first half comes before the barrier behind the attention.
//
// Norms and quantisation are done by every thread for itself: they cost less than a barrier. Where the K/V
// heads can be dealt out evenly, a thread computes q, k and v of just the heads that it attends to; otherwise
// one more barrier stands before the attention. With more threads than K/V heads, those that share a head
// each take some of the ranges that attention works through, and one more barrier stands before these are
// merged.
class TokenProgram {
 public:
  // Generates every kernel of the programs into the model's code.
  explicit TokenProgram(const Model& model);
  TokenProgram(const TokenProgram&) = delete;
  TokenProgram& operator=(const TokenProgram&) = delete;
  ~TokenProgram() = default;

  // Takes the kernels' addresses; after CodeCache::publish().
  void link();

  Program feed, classify;
  // The sampler's softmax, over the logits.
  Step softmax_step;

  // The token's, one for each kind of layers (kv_cache.h), whose pages it has.
  std::span<jit::Cursor> cursors() { return cursors_; }
  std::span<float> logits() const { return {s_.logits, static_cast<std::size_t>(vocab_size_)}; }
  std::int32_t argmax() const;
  // (dim): what classify starts from.
  float* residual() const { return s_.x; }
  // Runs x = softmax(x * scale) over vocab_size values, on the calling thread.
  void softmax(std::span<float> x, float scale) const;

 private:
  class Writer;

  struct Scratch {                // what a thread computes for itself alone
    float* norm;                  // the longest input of a matrix
    jit::QuantizedArgs q;         // the same, prepared
    float* rotated;               // (group, head_dim): queries of a shared head
    float* attention;             // the kernel's scratch
    std::int32_t* ids;            // (used): of the experts that are chosen
    float* weights;               // (slots): theirs
    float* route;                 // the kernel's scratch
    jit::QuantizedArgs expert_q;  // the hidden values of each, prepared, one behind the other
    jit::Best* best;              // of its logits
  };
  // Within memory_.
  struct State {
    float* x = nullptr;               // (dim): the residual stream
    float* q = nullptr;               // (q_dim)
    float* k = nullptr;               // (kv_dim)
    float* v = nullptr;               // (kv_dim)
    float* att = nullptr;             // (attended_dim): the heads' outputs
    float* low = nullptr;             // (query_rank), of latent attention as these:
    float* queries = nullptr;         // (query_dim)
    float* values = nullptr;          // (latent_values)
    float* gate = nullptr;            // (attended_dim), where attention is gated, and of a delta net:
    float* mixed = nullptr;           // (channels)
    float* convolved = nullptr;       // (channels)
    float* decay = nullptr;           // (value_heads)
    float* rate = nullptr;            // (value_heads)
    float* records = nullptr;         // (n_heads, ranges, …): of shared heads' ranges
    float* hidden = nullptr;          // (hidden_dim)
    float* inputs = nullptr;          // (layers * layer_input_dim): what layers get from the embedding
    float* projected = nullptr;       // the same: a part of it
    float* input_hidden = nullptr;    // (layer_input_dim)
    float* branch = nullptr;          // (dim): what is normed before the stream takes it
    float* router = nullptr;          // (experts): their logits
    float* shared_router = nullptr;   // (1)
    float* expert_hidden = nullptr;   // (used, hidden_dim)
    float* shared_hidden = nullptr;   // (shared_hidden_dim)
    float* expert_results = nullptr;  // (used, dim)
    float* shared_result = nullptr;   // (dim)
    float* logits = nullptr;          // (vocab_size)
    std::vector<Scratch> scratch;
  };
  static State place(Carver& carver, const Model& model);
  static void place_experts(Carver& carver, const Config& config, State& state);
  static void place_experts(Carver& carver, const Config& config, Scratch& scratch);

  int vocab_size_;
  std::vector<jit::Cursor> cursors_;
  PagedMemory memory_;
  State s_;
  StepMemory step_memory_;
};

}  // namespace llamajit
