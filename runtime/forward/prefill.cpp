#include "runtime/forward/prefill.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "runtime/forward/plan.h"
#include "runtime/forward/prefill_kernels.h"

namespace llamajit {

using jit::Kernel;
using jit::row_stride;

// One thread's way through a chunk, or through a block of it that is classified.
class Prefill::Walker {
 public:
  // `round` counts what goes through the same matrices.
  Walker(Prefill& prefill, std::int64_t n_tokens, std::int64_t round, int thread, Team& team)
      : p_(prefill),
        c_(prefill.config_),
        k_(*prefill.kernels_),
        team_(team),
        n_(n_tokens),
        round_(round),
        thread_(thread),
        mine_(heads_of(c_, thread, team.size())) {
    std::tie(first_token_, end_token_) = share_of(n_, thread, team.size());
  }

  void walk() {
    for_my_tokens([&](std::int64_t t) { call(k_.embed, {p_.weights_.embedding.data, x(t), &at(t)}); });
    for (std::size_t i = 0; i < k_.layers.size(); ++i) {
      const LayerWeights& weights = p_.weights_.layers[i];
      const LayerKernels& kernels = k_.layers[i];
      attention(weights, kernels, static_cast<std::ptrdiff_t>(i));
      if (c_.parallel_residual) hidden(weights, kernels);
      barrier();
      sub_norm(k_.att_sub_norm, weights.att_sub_norm, p_.att_, c_.q_dim(), kernels.wo_input);
      add_product(kernels.wo_input, kernels.wo, p_.att_);
      if (!c_.parallel_residual) {
        hidden(weights, kernels);
        barrier();
      }
      sub_norm(k_.ffn_sub_norm, weights.ffn_sub_norm, p_.hidden_, c_.hidden_dim, kernels.down_input);
      add_product(kernels.down_input, kernels.down, p_.hidden_);
    }
  }

  // logits = those of the tokens from number `first` of the chunk on.
  void classify(std::int64_t first) {
    normalise(p_.weights_.final_norm, k_.classifier_input, first);
    multiply(k_.classifier, p_.norm_, p_.logits_);
  }

 private:
  // att = the heads' outputs; the caller has to wait for the others.
  void attention(const LayerWeights& weights, const LayerKernels& kernels, std::ptrdiff_t layer) {
    normalise(weights.att_norm, kernels.qkv_input);
    multiply(kernels.wq, p_.norm_, p_.q_);
    multiply(kernels.wk, p_.norm_, p_.k_);
    multiply(kernels.wv, p_.norm_, p_.v_);
    barrier();
    attend(weights, layer);
  }

  // hidden = the feed-forward's first half; the caller has to wait for the others.
  void hidden(const LayerWeights& weights, const LayerKernels& kernels) {
    normalise(weights.ffn_norm, kernels.gate_up_input);
    multiply(kernels.gate_up, p_.norm_, p_.hidden_);
  }

  // Normalises the rows of `values` in place if there are weights for it; ends with a barrier then, unless
  // the preparation that comes next has one.
  void sub_norm(const Kernel<jit::NormArgs>& kernel, const float* weight, float* values, int n,
                const InputKernels& next) {
    if (weight == nullptr) return;
    for_my_tokens([&](std::int64_t t) { call(kernel, {row(values, t, n), weight, row(values, t, n)}); });
    if (next.preparations.empty()) barrier();
  }

  // x += W values; ends with a barrier.
  void add_product(const InputKernels& input, const MatrixKernel& kernel, const float* values) {
    prepare(input, values);
    multiply(kernel, values, p_.x_);
    barrier();
  }

  // norm = the norm of x, from row `first` on, prepared where the matrices want it; ends with a barrier.
  void normalise(const NormWeights& weights, const InputKernels& input, std::int64_t first = 0) {
    for_my_tokens([&](std::int64_t t) {
      call(k_.norm, {x(first + t), weights.weight, row(p_.norm_, t, c_.dim), weights.bias});
    });
    if (input.preparations.empty()) return barrier();
    prepare(input, p_.norm_);
  }

  // xq = values, prepared for the matrices; ends with a barrier, unless there is nothing to do.
  void prepare(const InputKernels& input, const float* values) {
    if (input.preparations.empty()) return;
    for (std::size_t i = 0; i < input.preparations.size(); ++i) {
      const Preparation& preparation = input.preparations[i];
      const jit::InputFormat& format = preparation.format;
      const jit::QuantizedArgs& to = p_.xq_[i];
      const std::int64_t codes = row_stride(format.codes_bytes(input.n));
      const std::int64_t groups = format.groups(input.n), subgroups = format.subgroups(input.n);
      for_my_tokens([&](std::int64_t t) {
        call(preparation.kernel, {values + t * row_stride(input.n),
                                  {to.codes + t * codes, to.scales + t * groups, to.offsets + t * subgroups,
                                   to.sums + t * groups, to.subsums + t * subgroups}});
      });
    }
    barrier();
  }

  // out = W values for all tokens, with the other threads.
  void multiply(const MatrixKernel& kernel, const float* values, float* out) {
    const jit::QuantizedArgs xq = kernel.input < p_.xq_.size() ? p_.xq_[kernel.input] : jit::QuantizedArgs{};
    std::byte* const scratch = p_.matmul_scratch_[static_cast<std::size_t>(thread_)];
    for (Deal::Range units = kernel.deal->next(thread_, round_); !units.empty();
         units = kernel.deal->next(thread_, round_)) {
      call(kernel.multiply, {kernel.matrix->data, values, xq, scratch, out, units.begin, units.end, n_,
                             kernel.matrix->scales, kernel.matrix->bias});
    }
  }

  // RoPE, append and attention for this thread's heads, of which threads that share one each take some of the
  // tokens; all keys of the chunk first, as later tokens see them.
  void attend(const LayerWeights& weights, std::ptrdiff_t layer) {
    const auto [begin, end] = share_of(n_, mine_.part, mine_.parts);
    if (begin < end) rotate_and_append(weights, layer, begin, end);
    if (team_.size() > c_.n_kv_heads) barrier();
    // A head's keys and values stay in the cache while the tokens come by. Threads that share it take turns,
    // as later tokens have more positions to look at.
    for (std::int64_t head = mine_.begin; head < mine_.end; ++head) {
      std::int64_t turn = 0;
      for (std::int64_t t = 0; t < n_; t += tokens_at_once(t), ++turn) {
        if (turn % mine_.parts == mine_.part) attend(layer, head, t);
      }
    }
  }

  // Attention takes its tiles of tokens where their positions allow, and single tokens before and behind.
  int tokens_at_once(std::int64_t t) const {
    const bool whole = at(t).pos % k_.tile_tokens == 0 && t + k_.tile_tokens <= n_;
    return whole ? k_.tile_tokens : 1;
  }

  void attend(std::ptrdiff_t layer, std::int64_t head, std::int64_t t) {
    const std::int64_t first_query = head * (c_.n_heads / c_.n_kv_heads) * c_.head_dim();
    call(tokens_at_once(t) > 1 ? k_.tile : k_.attention,
         {row(p_.q_, t, c_.q_dim()) + first_query, p_.cache_.keys(layer, head), p_.cache_.values(layer, head),
          row(p_.att_, t, c_.q_dim()) + first_query, p_.attention_scratch_[static_cast<std::size_t>(thread_)],
          &at(t), 1});
  }

  // q and k of the tokens [begin, end), then k and v, for this thread's heads.
  void rotate_and_append(const LayerWeights& weights, std::ptrdiff_t layer, std::int64_t begin,
                         std::int64_t end) {
    const std::int64_t heads = mine_.end - mine_.begin;
    const int group = c_.n_heads / c_.n_kv_heads;
    float* const q = row(p_.q_, begin, c_.q_dim()) + mine_.begin * group * c_.head_dim();
    float* const k = row(p_.k_, begin, c_.kv_dim()) + mine_.begin * c_.head_dim();
    const float* const v = row(p_.v_, begin, c_.kv_dim()) + mine_.begin * c_.head_dim();
    for (std::int64_t t = 0; t < end - begin; ++t) {
      norm_heads(weights.q_norm, q + t * row_stride(c_.q_dim()), heads * group);
      norm_heads(weights.k_norm, k + t * row_stride(c_.kv_dim()), heads);
    }
    const float* const angles = p_.rope_.data();
    call(k_.rope, {q, q, angles, &at(begin), heads * group, end - begin, row_stride(c_.q_dim())});
    call(k_.rope, {k, k, angles, &at(begin), heads, end - begin, row_stride(c_.kv_dim())});
    call(k_.append, {k, v, p_.cache_.keys(layer, mine_.begin), p_.cache_.values(layer, mine_.begin),
                     &at(begin), heads, end - begin, row_stride(c_.kv_dim())});
  }

  void norm_heads(const float* weight, float* x, std::int64_t heads) {
    if (weight != nullptr) call(k_.head_norm, {x, weight, x, nullptr, heads});
  }

  template <class Body>
  void for_my_tokens(Body body) const {
    for (std::int64_t t = first_token_; t < end_token_; ++t) body(t);
  }

  template <class Args>
  void call(const Kernel<Args>& kernel, const std::type_identity_t<Args>& args) const {
    if (p_.observer_ != nullptr) {
      p_.observer_->call(kernel.info(), &args);
    } else {
      kernel(args);
    }
  }

  static float* row(float* matrix, std::int64_t t, int n) { return matrix + t * row_stride(n); }
  float* x(std::int64_t t) const { return row(p_.x_, t, c_.dim); }
  const jit::Cursor& at(std::int64_t t) const { return p_.at_[static_cast<std::size_t>(t)]; }
  void barrier() const { team_.barrier(thread_); }

  Prefill& p_;
  const Config& c_;
  const PrefillKernels& k_;
  Team& team_;
  std::int64_t n_;  // tokens
  std::int64_t round_;
  int thread_;
  HeadShare mine_;
  std::int64_t first_token_ = 0, end_token_ = 0;  // this thread's
};

Prefill::Prefill(const Config& config, const Weights& weights, const KvCache& kv_cache, const RopeTable& rope,
                 jit::CodeCache& code, int threads, int chunk)
    : config_(config),
      weights_(weights),
      cache_(kv_cache),
      rope_(rope),
      chunk_(chunk),
      kernels_(std::make_unique<PrefillKernels>(config, weights, kv_cache, code, threads)),
      at_(static_cast<std::size_t>(chunk)) {
  Carver sizing(nullptr);
  place(sizing, threads);
  memory_ = PagedMemory(sizing.size(), "activations of a prompt chunk");
  Carver carver(memory_.data());
  place(carver, threads);
}

Prefill::~Prefill() = default;

// Places all state: called once without memory to learn the size, and once with it.
void Prefill::place(Carver& carver, int threads) {
  const std::int64_t tokens = jit::round_up(chunk_, jit::kTokenBlock);
  const auto matrix = [&](int n) { return carver.take<float>(tokens * row_stride(n)); };
  x_ = matrix(config_.dim);
  norm_ = matrix(config_.dim);
  q_ = matrix(config_.q_dim());
  k_ = matrix(config_.kv_dim());
  v_ = matrix(config_.kv_dim());
  att_ = matrix(config_.q_dim());
  hidden_ = matrix(config_.hidden_dim);
  logits_ = carver.take<float>(kClassified * row_stride(config_.vocab_size));
  place_prepared(carver, tokens);
  std::int64_t scratch = 0;
  for (const MatrixKernel* m : kernels_->matrices())
    scratch = std::max(scratch, matmul_scratch_bytes(m->key));
  matmul_scratch_.clear();
  for (int t = 0; t < threads; ++t) matmul_scratch_.push_back(carver.take<std::byte>(scratch));
  attention_scratch_.clear();
  for (int t = 0; t < threads; ++t) {
    attention_scratch_.push_back(carver.take<float>(
        std::max(cache_.attention_key().scratch_floats(), cache_.tile_key(0).scratch_floats())));
  }
}

// One for each way in which an input is prepared, as large as any matrix needs it.
void Prefill::place_prepared(Carver& carver, std::int64_t tokens) {
  struct Sizes {
    std::int64_t codes = 0, groups = 0, subgroups = 0;  // of a token
  };
  std::vector<Sizes> sizes;
  for (const InputKernels* input : kernels_->inputs()) {
    sizes.resize(std::max(sizes.size(), input->preparations.size()));
    for (std::size_t i = 0; i < input->preparations.size(); ++i) {
      const jit::InputFormat& format = input->preparations[i].format;
      Sizes& s = sizes[i];
      s.codes = std::max(s.codes, row_stride(format.codes_bytes(input->n)));
      s.groups = std::max(s.groups, format.groups(input->n));
      s.subgroups = std::max(s.subgroups, format.subgroups(input->n));
    }
  }
  xq_.clear();
  for (const Sizes& s : sizes) {
    xq_.push_back({carver.take<std::int8_t>(tokens * s.codes), carver.take<float>(tokens * s.groups),
                   carver.take<std::int32_t>(tokens * s.subgroups), carver.take<float>(tokens * s.groups),
                   carver.take<std::int16_t>(tokens * s.subgroups)});
  }
}

void Prefill::feed(std::span<const TokenId> tokens, int pos, float* last, Team& team) {
  assert(!tokens.empty() && std::ssize(tokens) <= chunk_);
  for (std::size_t t = 0; t < tokens.size(); ++t) at_[t] = {tokens[t], pos + static_cast<int>(t)};
  auto walk = [&](int thread) { Walker(*this, std::ssize(tokens), round_, thread, team).walk(); };
  team.run(walk);
  ++round_;
  std::memcpy(last, x_ + (std::ssize(tokens) - 1) * row_stride(config_.dim),
              static_cast<std::size_t>(config_.dim) * sizeof(float));
}

void Prefill::classify(std::int64_t first, std::int64_t n, Team& team) {
  assert(first >= 0 && n >= 1 && n <= kClassified && first + n <= chunk_);
  auto walk = [&](int thread) { Walker(*this, n, classifications_, thread, team).classify(first); };
  team.run(walk);
  ++classifications_;
}

void Prefill::feed_observed(std::span<const TokenId> tokens, int pos, float* last, Team& team,
                            KernelObserver& observer) {
  observer_ = &observer;
  feed(tokens, pos, last, team);
  observer_ = nullptr;
}

void Prefill::classify_observed(std::int64_t first, std::int64_t n, Team& team, KernelObserver& observer) {
  observer_ = &observer;
  classify(first, n, team);
  observer_ = nullptr;
}

}  // namespace llamajit
