// What the two lowerings of the forward pass have in common: writing one thread's steps.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "jit/code/code_cache.h"
#include "runtime/forward/kv_cache.h"
#include "runtime/forward/rope_table.h"
#include "runtime/forward/step.h"
#include "runtime/forward/tuning.h"
#include "runtime/forward/weights.h"

namespace llamajit {

// What programs are made for; all of it must outlive them.
struct Model {
  const Config& config;
  const Weights& weights;
  const KvCache& cache;
  const RopeTables& rope;
  const Tuning& tuning;
  jit::CodeCache& code;
  int threads;
};

// Whether threads share heads whose ranges they deal out. A context of one range leaves nothing to share.
bool attends_in_parts(const Model& model, const LayerShape& shape);

// Args, members and deals that live as long as the programs that point to them.
class StepMemory {
 public:
  template <class T>
  const T* keep(const T& value) {
    return new (memory_.allocate(sizeof(T), alignof(T))) T(value);
  }
  // Shared heads' tiles are linked once the code is published.
  AttentionHeads* keep_heads(const AttentionHeads& heads) {
    auto* const kept = const_cast<AttentionHeads*>(keep(heads));
    tiles_.push_back(&kept->tile);
    return kept;
  }
  // These live as long as the programs, too, and change as they run.
  ExpertTable* keep_table(const jit::RouteKey& route, int most_rows, const ExpertTable::Memory& memory) {
    return tables_.emplace_back(std::make_unique<ExpertTable>(route, most_rows, memory)).get();
  }
  ExpertProduct* keep_product(const ExpertProduct& product) {
    return const_cast<ExpertProduct*>(keep(product));
  }
  // The deal of a matrix in one program, whichever thread asks first.
  Deal* deal(const std::byte* matrix, std::int64_t units, std::int64_t portion, int threads) {
    return &deals_.try_emplace(matrix, units, portion, threads).first->second;
  }
  void link() {
    for (Target* tile : tiles_) tile->link();
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
  std::map<const std::byte*, Deal> deals_;  // of matrices, by their first byte
  std::vector<Target*> tiles_;
  std::vector<std::unique_ptr<ExpertTable>> tables_;
};

using Matrices = std::initializer_list<const PackedMatrix*>;

// Whether matrices want an input prepared, and in which ways, each once.
std::vector<jit::InputFormat> input_formats(Matrices matrices);
// The inputs of a model's matrices: those that share one stand together.
std::vector<std::vector<const PackedMatrix*>> matrix_inputs(const Weights& weights);

// A portion of a matrix that takes a few microseconds to read, much longer than to take it from a deal; at
// least one unit.
std::int64_t dealt_portion(const PackedMatrix& matrix);

// What a layer's state takes for a row; 0: it has no such part.
inline int gates(const LayerShape& shape) {
  return shape.is_linear() || shape.gated_attention ? shape.attended_dim() : 0;
}
inline int delta_channels(const LayerShape& shape) {
  return shape.delta.channels();
}
inline int delta_heads(const LayerShape& shape) {
  return shape.delta.value_heads;
}

inline int query_rank(const LayerShape& shape) {
  return shape.latent.query_rank;
}
inline int latent_queries(const LayerShape& shape) {
  return shape.is_latent() ? shape.query_dim() : 0;
}

class Lowering {
 public:
  Lowering(const Model& model, StepMemory& memory, int thread)
      : m_(model), memory_(memory), thread_(thread) {}

  // Steps go to this program's list from here on, for this layer; -1: before or behind the layers.
  void write_to(Program& program) { steps_ = &program.threads[static_cast<std::size_t>(thread_)]; }
  void enter_layer(int layer) { layer_ = layer; }

  void meet() {
    if (m_.threads > 1) steps_->push_back({});
  }

 protected:
  template <class Key>
  Step& call(Role role, const Key& key, const typename Key::Args& args) {
    static_assert(sizeof args <= RowArgs::kMost);
    Step step;
    step.target.kernel = &m_.code.get(key).info();
    step.args = memory_.keep(args);
    step.args_bytes = sizeof args;
    step.role = role;
    step.layer = layer_;
    return steps_->emplace_back(step);
  }
  // A product with the matrices of experts, whose Args are those of the first one's.
  Step& experts_call(Role role, const PackedMatrix& matrix, const jit::MatvecKey& key,
                     const jit::MatvecArgs& args, ExpertProduct product, ExpertTable* table,
                     std::int64_t most_chosen, std::int64_t portion) {
    // What the step shows is this thread's share of one expert's.
    jit::MatvecArgs shown = args;
    std::tie(shown.unit_begin, shown.unit_end) = share(matrix.units());
    Step& step = call(role, key, shown);
    product.few_args = args;
    product.few[0] = step.target;
    product.units = matrix.units();
    product.matrix_bytes = matrix.matrix_bytes();
    product.bias_stride = matrix.biases();
    product.deal = memory_.deal(matrix.data, matrix.units() * most_chosen, portion, m_.threads);
    step.calls = Calls::experts;
    step.experts = memory_.keep_product(product);
    step.table = table;
    return step;
  }
  using Share = std::pair<std::int64_t, std::int64_t>;  // [first, second)
  // Of a delta net's channels those of this thread's key heads, as queries and as keys, and of its value heads.
  std::array<Share, 3> channels_of(const DeltaNet& delta) const {
    const auto part = [](const Share& heads, int size, std::int64_t first) {
      return Share{first + heads.first * size, first + heads.second * size};
    };
    const Share keys = share(delta.key_heads);
    return {part(keys, delta.key_dim, 0), part(keys, delta.key_dim, delta.keys()),
            part(share(delta.value_heads), delta.value_dim, std::int64_t{2} * delta.keys())};
  }
  std::size_t layer_index() const { return static_cast<std::size_t>(layer_); }
  // Of the layer at hand; before and behind the layers any one will do, as its pages are not looked at.
  std::size_t kind() const { return layer_ < 0 ? 0 : m_.cache.kind(layer_index()); }
  Share share(std::int64_t n) const { return share_of(n, thread_, m_.threads); }
  HeadDeal heads(const LayerShape& shape) const { return {shape, m_.threads}; }
  // Of what is added to values that have a norm of their own.
  static jit::NormKey post_norm_key(const LayerShape& shape, bool adds) {
    return {.n = shape.dim, .eps = shape.norm_eps, .kind = shape.norm, .adds = adds};
  }
  // The choice of experts. What they add to the stream is scaled as all that is added.
  static jit::RouteKey route_key(const LayerShape& shape) {
    jit::RouteKey key = shape.route;
    key.scale *= shape.residual_scale;
    return key;
  }
  // The norm of each head, and its weights from head number `first` on.
  static jit::NormKey head_norm(const LayerShape& shape) {
    const bool own = shape.head_norm == HeadNorm::own;
    return {shape.head_dim(), shape.norm_eps, own ? jit::NormKind::layer : jit::NormKind::rms, own};
  }
  static const float* head_weights(const LayerShape& shape, const NormWeights& norm, std::int64_t first) {
    return norm.weight + (shape.head_norm == HeadNorm::own ? first * shape.head_dim() : 0);
  }
  // Likewise of ALiBi.
  static const float* head_slopes(const LayerWeights& weights, std::int64_t first) {
    return weights.slopes != nullptr ? weights.slopes + first : nullptr;
  }
  // Attention's sinks from query head number `first` on, where there are any.
  static const float* head_sinks(const LayerWeights& weights, std::int64_t first) {
    return weights.sinks != nullptr ? weights.sinks + first : nullptr;
  }
  // Of the embedding of what layers get: sqrt(layer_input_dim), and 1 / sqrt(2) as of what is added to it.
  static float layer_input_scale(const Config& config) {
    return std::sqrt(static_cast<float>(config.layer_input_dim) / 2);
  }
  // L2 norms as RMSNorms (DeltaWeights): the sum of squares is n times their mean.
  static jit::NormKey l2_norm(const LayerShape& shape) {
    const int n = shape.delta.key_dim;
    return {n, shape.norm_eps / static_cast<float>(n)};
  }
  static bool norms_each_head(const LayerShape& shape, const NormWeights& norm) {
    return norm.exists() && shape.head_norm != HeadNorm::together;
  }
  static bool norms_heads_together(const LayerShape& shape, const NormWeights& norm) {
    return norm.exists() && shape.head_norm == HeadNorm::together;
  }

  const Model& m_;
  StepMemory& memory_;
  int thread_;
  int layer_ = -1;
  std::vector<Step>* steps_ = nullptr;
};

}  // namespace llamajit
