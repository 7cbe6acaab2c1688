// What the two lowerings of the forward pass have in common: writing one thread's steps.
#pragma once

#include <algorithm>
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
#include "runtime/forward/exchange.h"
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
  Peers* peers = nullptr;  // nullptr: there are none

  Split split() const { return peers != nullptr ? peers->split : Split(); }
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
  Exchange* keep_exchange(Peers& peers, std::vector<Spread> spreads, bool at_first) {
    return exchanges_.emplace_back(std::make_unique<Exchange>(peers, std::move(spreads), at_first)).get();
  }
  // The deal of a matrix in one program, whichever thread asks first.
  Deal* deal(const PackedMatrix& matrix, std::int64_t first, std::int64_t units, std::int64_t portion,
             int threads) {
    const std::byte* const key = units > 0 ? matrix.begin() : nullptr;
    return &deals_.try_emplace(key, units, portion, threads, first).first->second;
  }
  void link() {
    for (Target* tile : tiles_) tile->link();
  }

 private:
  std::pmr::monotonic_buffer_resource memory_;
  std::map<const std::byte*, Deal> deals_;  // of matrices, by their first byte
  std::vector<Target*> tiles_;
  std::vector<std::unique_ptr<ExpertTable>> tables_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
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
      : m_(model), split_(model.split()), memory_(memory), thread_(thread) {}

  // Steps go to this program's list from here on, for this layer; -1: before or behind the layers.
  void write_to(Program& program) { steps_ = &program.threads[static_cast<std::size_t>(thread_)]; }
  void enter_layer(int layer) { layer_ = layer; }

  void meet() {
    if (m_.threads > 1) steps_->push_back({});
  }
  // The same, and where other ranks have parts of these, behind it all have all of them.
  void meet_and_gather(std::vector<Spread> spreads) { exchange(std::move(spreads), false); }

 protected:
  void exchange(std::vector<Spread> spreads, bool at_first) {
    meet();
    std::erase_if(spreads, [](const Spread& spread) { return spread.parts.empty(); });
    if (spreads.empty()) return;
    exchange_alone(std::move(spreads), at_first);
    meet();
  }
  // Of what this thread alone has written, and will read.
  void exchange_alone(std::vector<Spread> spreads, bool at_first) {
    if (thread_ != 0) return;
    Step step;
    step.exchange = memory_.keep_exchange(*m_.peers, std::move(spreads), at_first);
    step.layer = layer_;
    steps_->push_back(step);
  }
  // What products with a matrix give, rows `stride` floats apart: each rank has those of its units. Without parts where
  // the matrix is whole.
  Spread products(const PackedMatrix& matrix, float* out, std::int64_t stride,
                  const ExpertTable* table = nullptr) const {
    Spread spread = of_floats(out, matrix.rows, stride, rows_of_ranks(matrix));
    spread.table = table;
    return spread;
  }
  // What heads have, `n` values for each K/V head.
  Spread of_heads(const LayerShape& shape, float* values, int n, std::int64_t stride) const {
    return of_floats(values, std::int64_t{n} * shape.n_kv_heads, stride, values_of_heads(shape, n));
  }
  Spread attention_of_heads(const LayerShape& shape, float* att, std::int64_t stride) const {
    return of_heads(shape, att, shape.group() * shape.head_dim(), stride);
  }
  // Of each rank; none where each has all.
  std::vector<Split::Part> rows_of_ranks(const PackedMatrix& matrix) const {
    std::vector<Split::Part> parts;
    for (int rank = 0; matrix.is_split && rank < split_.ranks(); ++rank) {
      const auto [begin, end] = split_.of(matrix.all_units(), rank);
      parts.emplace_back(begin * jit::kLanes, std::min<std::int64_t>(end * jit::kLanes, matrix.rows));
    }
    return parts;
  }
  std::vector<Split::Part> values_of_heads(const LayerShape& shape, int n) const {
    std::vector<Split::Part> parts;
    if (split_.alone() || !splits_heads(shape)) return parts;
    for (int rank = 0; rank < split_.ranks(); ++rank) {
      const auto [begin, end] = split_.of(shape.n_kv_heads, rank);
      parts.emplace_back(begin * n, end * n);
    }
    return parts;
  }
  // Rows of the embedding.
  Spread embedded(float* x, std::int64_t stride, const jit::Cursor* at) const {
    const PackedMatrix& table = m_.weights.embedding;
    Spread spread = of_floats(x, table.cols, stride, {});
    spread.parts = rows_of_ranks(table);
    spread.at = at;
    return spread;
  }
  // n values in each row, `stride` of them apart.
  static Spread of_floats(float* values, std::int64_t n, std::int64_t stride,
                          std::vector<Split::Part> parts) {
    constexpr std::int64_t kFloat = sizeof(float);
    for (Split::Part& part : parts) part = {part.first * kFloat, part.second * kFloat};
    return {.data = reinterpret_cast<std::byte*>(values),
            .stride = stride * kFloat,
            .n = n * kFloat,
            .parts = std::move(parts)};
  }
  // Those whose rows are here; nullptr: all.
  const Split::Part* embedded_tokens() {
    const PackedMatrix& table = m_.weights.embedding;
    if (!table.is_split) return nullptr;
    return memory_.keep(Split::Part{table.own.first * jit::kLanes,
                                    std::min<std::int64_t>(table.own.second * jit::kLanes, table.rows)});
  }
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
    std::tie(shown.unit_begin, shown.unit_end) = share(matrix);
    Step& step = call(role, key, shown);
    product.few_args = args;
    product.few[0] = step.target;
    product.first_unit = matrix.own.first;
    product.units = matrix.units();
    product.matrix_bytes = matrix.copy_stride;
    product.bias_stride = matrix.biases();
    product.deal = memory_.deal(matrix, 0, matrix.units() * most_chosen, portion, m_.threads);
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
  // Of the units that are here.
  Share share(const PackedMatrix& matrix) const {
    const auto [begin, end] = share(matrix.units());
    return {matrix.own.first + begin, matrix.own.first + end};
  }
  HeadDeal heads(const LayerShape& shape) const { return {shape, m_.threads, split_}; }
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
  Split split_;
  StepMemory& memory_;
  int thread_;
  int layer_ = -1;
  std::vector<Step>* steps_ = nullptr;
};

}  // namespace llamajit
