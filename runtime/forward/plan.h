// The steps of one token, laid out at load for each thread of the team.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory_resource>
#include <span>
#include <vector>

#include "jit/code/code_cache.h"
#include "runtime/base/deal.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/tuning.h"
#include "runtime/forward/weights.h"

namespace llamajit {

// The K/V heads [begin, end) that a thread attends to. With more threads than heads it shares one head with
// others, as number `part` of `parts`.
struct HeadShare {
  std::int64_t begin, end;
  int part, parts;
};
HeadShare heads_of(const Config& config, int thread, int threads);

// One call of a kernel, or a barrier where there is none. Args never change after load: what differs from
// token to token stands in the Cursor that they point to.
struct Step {
  const jit::KernelInfo* kernel = nullptr;
  const void* args = nullptr;
  jit::KernelEntry entry = nullptr;
  const void* key = nullptr;
  Deal* deal = nullptr;  // of a large matvec: which units are this thread's shows as they are multiplied;
                         // args hold those that would be, were all threads equally fast
};

// The steps of one token are two programs: `feed` takes the token through all layers into the KV cache,
// `classify` turns the result into logits and their argmax. A prompt needs the second for its last token
// only.
//
//   feed      embedding row -> x, barrier
//     layer   norm (+quantise) -> q, k, v (+norm) -> rope -> append to the cache -> attention, barrier
//             (norm) o, x +=, barrier -> norm (+quantise) -> gate, up, swiglu, barrier
//             (norm) down, x +=, barrier
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
class Plan {
 public:
  // Generates every kernel of the plan into `code`. Weights, cache and table must outlive the plan.
  Plan(const Config& config, const Weights& weights, const KvCache& kv_cache, const RopeTable& rope,
       const Tuning& tuning, jit::CodeCache& code, int threads);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan();

  // Takes the kernels' addresses; after CodeCache::publish().
  void link();

  void feed(int thread, Team& team) { walk(feed_[static_cast<std::size_t>(thread)], thread, team); }
  void classify(int thread, Team& team) { walk(classify_[static_cast<std::size_t>(thread)], thread, team); }

  const std::vector<Step>& feed_steps(int thread) const {
    return feed_[static_cast<std::size_t>(thread)].steps;
  }
  const std::vector<Step>& classify_steps(int thread) const {
    return classify_[static_cast<std::size_t>(thread)].steps;
  }
  // The sampler's softmax, over the logits.
  const Step& softmax_step() const { return softmax_step_; }

  jit::Cursor& cursor() { return *cursor_; }
  std::span<float> logits() const { return {logits_, static_cast<std::size_t>(config_.vocab_size)}; }
  std::int32_t argmax() const;
  // (dim): what classify() starts from.
  float* residual() { return x_; }
  // Runs x = softmax(x * scale) over vocab_size values, on the calling thread.
  void softmax(std::span<float> x, float scale) const;

 private:
  struct Scratch;  // of one thread
  class Builder;

  // Args that live as long as the plan.
  template <class Args>
  const Args* keep(const Args& args) {
    return new (args_.allocate(sizeof(Args), alignof(Args))) Args(args);
  }
  void place(Carver& carver, int threads);
  bool shares_heads(int threads) const;
  static void link(Step& step);
  // What a thread does, and how often it has.
  struct alignas(64) Program {
    std::vector<Step> steps;
    std::int64_t round = 0;
  };
  static void walk(Program& program, int thread, Team& team) {
    for (const Step& step : program.steps) {
      if (step.deal != nullptr) {
        multiply_dealt(step, thread, program.round);
      } else if (step.entry != nullptr) {
        step.entry(step.args, step.key);
      } else {
        team.barrier(thread);
      }
    }
    ++program.round;
  }
  static void multiply_dealt(const Step& step, int thread, std::int64_t round);

  Config config_;
  const KvCache& cache_;
  const RopeTable& rope_;
  PagedMemory memory_;
  std::pmr::monotonic_buffer_resource args_;
  std::vector<Program> feed_;  // one for each thread
  std::vector<Program> classify_;
  std::map<const std::byte*, Deal> deals_;  // of matrices, by their first byte
  jit::Kernel<jit::SoftmaxArgs> softmax_;
  Step softmax_step_;

  // Shared state, within memory_.
  jit::Cursor* cursor_ = nullptr;
  float* x_ = nullptr;        // (dim): the residual stream
  float* q_ = nullptr;        // (q_dim)
  float* k_ = nullptr;        // (kv_dim)
  float* v_ = nullptr;        // (kv_dim)
  float* att_ = nullptr;      // (q_dim): the heads' outputs
  float* records_ = nullptr;  // (n_heads, ranges, …): of shared heads' ranges
  float* hidden_ = nullptr;   // (hidden_dim)
  float* logits_ = nullptr;   // (vocab_size)
  std::vector<Scratch> scratch_;
};

}  // namespace llamajit
