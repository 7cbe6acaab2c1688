#include "runtime/forward/token_program.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "jit/kernels/embed.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/mix.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/rope.h"
#include "jit/kernels/route.h"
#include "jit/kernels/softmax.h"
#include "runtime/forward/layer.h"

namespace llamajit {

using jit::Epilogue;

namespace {

// With fewer portions for each thread than some, a deal evens nothing out.
constexpr std::int64_t kPortionsWorthDealing = 4;

// Of deals, which units are a thread's shows as they are multiplied.
constexpr RowMembers kDealtUnits{.units_at = offsetof(jit::MatvecArgs, unit_begin)};

}  // namespace

// Writes the programs of one thread.
class TokenProgram::Writer : public Lowering {
 public:
  Writer(TokenProgram& program, const Model& model, int thread)
      : Lowering(model, program.step_memory_, thread),
        p_(program),
        s_(program.s_),
        scratch_(program.s_.scratch[static_cast<std::size_t>(thread)]) {}

  void write() {
    write_to(p_.feed);
    if (thread_ == 0) {
      const PackedMatrix& table = m_.weights.embedding;
      call(Role::embed, jit::EmbedKey{table.format, m_.config.dim, m_.config.embedding_scale},
           jit::EmbedArgs{table.data, s_.x, s_.cursor});
      if (const PackedMatrix& positions = m_.weights.positions; positions.data != nullptr) {
        call(Role::embed, jit::EmbedKey{positions.format, m_.config.dim, 1, true},
             jit::EmbedArgs{positions.data, s_.x, s_.cursor});
      }
    }
    meet();
    for (std::size_t i = 0; i < m_.weights.layers.size(); ++i) {
      enter_layer(static_cast<int>(i));
      layer(*this, m_.config.layer(i), m_.weights.layers[i]);
    }
    write_to(p_.classify);
    enter_layer(-1);
    classifier();
  }

  void norm(Role role, const LayerShape& shape, const NormWeights& weights, Matrices /*matrices*/) {
    input_ = {s_.x, shape.dim, {}};
    if (!weights.exists()) return;
    call(role, jit::NormKey{shape.dim, shape.norm_eps, shape.norm},
         jit::NormArgs{s_.x, weights.weight, scratch_.norm, weights.bias});
    input_.x = scratch_.norm;
  }

  void project(const LayerShape& shape, const LayerWeights& w) {
    const std::pair<const PackedMatrix*, float*> products[] = {{&w.wq, s_.q}, {&w.wk, s_.k}, {&w.wv, s_.v}};
    constexpr Role kRoles[] = {Role::q, Role::k, Role::v};
    if (heads(shape).fits_tiles()) {
      for (int i = 0; i < 3; ++i) {
        const auto& [matrix, out] = products[i];
        matvec(kRoles[i], *matrix, share(matrix->units()), Epilogue::store, out);
      }
      if (!norms_heads_together(shape, w.q_norm)) return;
      meet();
      return norm_heads_together(shape, w);
    }
    // The rows of all three as if they were one matrix, so that the shares come out even.
    const auto [begin, end] = share(w.wq.units() + w.wk.units() + w.wv.units());
    std::int64_t first = 0;
    for (int i = 0; i < 3; ++i) {
      const auto& [matrix, out] = products[i];
      const std::int64_t n = matrix->units();
      matvec(kRoles[i], *matrix,
             {std::clamp(begin - first, std::int64_t{0}, n), std::clamp(end - first, std::int64_t{0}, n)},
             Epilogue::store, out);
      first += n;
    }
    meet();
    if (norms_heads_together(shape, w.q_norm)) norm_heads_together(shape, w);
  }

  // Norms, RoPE, append and attention for this thread's K/V heads and the query heads that share them.
  void attend(const LayerShape& shape, const LayerWeights& weights) {
    if (attends_in_parts(m_, shape)) return attend_in_parts(shape, weights);
    const HeadShare mine = heads(shape).of(thread_);
    if (mine.part > 0) return;
    const std::int64_t first_query = mine.begin * shape.group() * shape.head_dim();
    float* const q = s_.q + first_query;
    rotate_queries(shape, weights, mine, q, q);
    append(shape, weights, mine.begin, mine.size());
    call(Role::attention, m_.cache.attention_key(layer_index()),
         jit::AttentionArgs{q, s_.att + first_query, scratch_.attention, s_.cursor,
                            m_.cache.keys_at(layer_index(), mine.begin),
                            m_.cache.values_at(layer_index(), mine.begin), mine.size()});
  }

  void hidden(const LayerShape& shape, const PackedMatrix& matrix) {
    matvec_dealt(Role::gate_up, matrix, shape.activation, s_.hidden);
  }
  float* attended() const { return s_.att; }
  float* hidden_values() const { return s_.hidden; }
  // x += W values, of which either is normed before where there are weights for that; ends with a barrier.
  void add_branch(const BranchRoles& roles, const LayerShape& shape, const float* sub_norm,
                  const float* values, const PackedMatrix& matrix, const NormWeights& post_norm) {
    input_ = {values, matrix.cols, {}};
    if (sub_norm != nullptr) {
      call(roles.sub_norm, jit::NormKey{matrix.cols, shape.norm_eps},
           jit::NormArgs{values, sub_norm, scratch_.norm});
      input_.x = scratch_.norm;
    }
    if (!post_norm.exists()) {
      matvec_dealt(roles.product, matrix, Epilogue::add, s_.x);
      return meet();
    }
    matvec_dealt(roles.product, matrix, Epilogue::store, s_.branch);
    meet();
    if (thread_ == 0) {
      call(roles.post_norm,
           jit::NormKey{.n = shape.dim, .eps = shape.norm_eps, .kind = shape.norm, .adds = true},
           jit::NormArgs{s_.branch, post_norm.weight, s_.x, post_norm.bias});
    }
    meet();
  }

  // Every thread chooses for itself: that costs less than a barrier.
  void experts_hidden(const LayerShape& shape, const LayerWeights& w) {
    matvec(Role::router, w.router, share(w.router.units()), Epilogue::store, s_.router);
    if (w.shared_router.exists()) {
      matvec(Role::shared_router, w.shared_router, share(1), Epilogue::store, s_.shared_router);
    }
    meet();
    call(Role::route, route_key(shape),
         jit::RouteArgs{s_.router, w.router_choice, s_.shared_router, scratch_.ids, scratch_.weights,
                        scratch_.route});
    table_ = memory_.keep_table(shape.route, 1,
                                {.ids = scratch_.ids,
                                 .results = s_.expert_results,
                                 .result_stride = shape.dim,
                                 .shared_results = s_.shared_result});
    prepare(input_format(w.gate_up.format));
    multiply_chosen(Role::gate_up, shape, w.gate_up, shape.activation, {input_.x, scratch_.q},
                    {.out_stride = shape.hidden_dim}, s_.expert_hidden);
    steps_->back().sorts_table = true;
    if (w.shared_gate_up.exists()) {
      matvec_dealt(Role::shared_gate_up, w.shared_gate_up, shape.activation, s_.shared_hidden);
    }
  }

  void add_experts(const LayerShape& shape, const LayerWeights& w) {
    ExpertProduct product{.x_stride = shape.hidden_dim, .out_stride = shape.dim};
    if (const auto format = input_format(w.down.format)) {
      product.codes_stride = format->codes_bytes(shape.hidden_dim);
      product.groups_stride = format->groups(shape.hidden_dim);
      product.subgroups_stride = format->subgroups(shape.hidden_dim);
      for (int i = 0; i < shape.route.used; ++i) {
        input_ = {s_.expert_hidden + std::ptrdiff_t{i} * shape.hidden_dim, shape.hidden_dim, {}};
        prepare(format, product.prepared_at(scratch_.expert_q, i));
      }
    }
    multiply_chosen(Role::down, shape, w.down, Epilogue::store, {s_.expert_hidden, scratch_.expert_q},
                    product, s_.expert_results);
    if (w.shared_down.exists()) {
      input_ = {s_.shared_hidden, shape.shared_hidden_dim, {}};
      matvec_dealt(Role::shared_down, w.shared_down, Epilogue::store, s_.shared_result);
    }
    meet();
    const auto [begin, end] = share(jit::divide_up(shape.dim, jit::kLanes));
    if (begin < end) {
      call(Role::mix, jit::MixKey{shape.dim, shape.route.slots()},
           jit::MixArgs{table_->results(), scratch_.weights, s_.x, begin * jit::kLanes,
                        std::min<std::int64_t>(end * jit::kLanes, shape.dim)});
    }
    meet();
  }

 private:
  using Units = std::pair<std::int64_t, std::int64_t>;
  struct ProductInput {
    const float* x;
    jit::QuantizedArgs q;
  };
  // Products with the experts of the table, one row each.
  void multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix, Epilogue epilogue,
                       const ProductInput& input, const ExpertProduct& product, float* out) {
    const bool prepared = input_format(matrix.format).has_value();
    experts_call(role, matrix, matvec_key(matrix, epilogue),
                 {matrix.data, prepared ? nullptr : input.x, prepared ? input.q : jit::QuantizedArgs{}, out,
                  0, 0, nullptr, nullptr},
                 product, table_, shape.route.used, dealt_portion(matrix));
  }

  // A vector that matrices are about to be multiplied with; remembers how it was last prepared.
  struct Input {
    const float* x = nullptr;
    int n = 0;
    std::optional<jit::InputFormat> prepared_for{};
  };

  // The same for a head that other threads attend to as well. Part 0 appends: it is the one that reads the
  // position at hand. Each part rotates the queries for itself, which costs less than a barrier.
  void attend_in_parts(const LayerShape& shape, const LayerWeights& weights) {
    const HeadShare mine = heads(shape).of(thread_);
    const std::int64_t first_query = mine.begin * shape.group();
    const std::int64_t records =  // of a query head
        jit::attention_ranges(m_.cache.context()) * jit::attention_record(shape.head_dim());
    rotate_queries(shape, weights, mine, s_.q + first_query * shape.head_dim(), scratch_.rotated);
    if (mine.part == 0) append(shape, weights, mine.begin, 1);
    call(Role::attention, m_.cache.ranges_key(layer_index()),
         jit::AttentionRangesArgs{scratch_.rotated, s_.records + first_query * records, scratch_.attention,
                                  s_.cursor, m_.cache.keys_at(layer_index(), mine.begin),
                                  m_.cache.values_at(layer_index(), mine.begin), mine.part, mine.parts});
    meet();
    const auto [begin, end] = share(shape.n_heads);
    if (begin == end) return;
    call(Role::merge, m_.cache.merge_key(layer_index()),
         jit::AttentionMergeArgs{s_.records + begin * records, s_.att + begin * shape.head_dim(), s_.cursor,
                                 end - begin});
  }

  // q and k in place, by one thread each.
  void norm_heads_together(const LayerShape& shape, const LayerWeights& w) {
    if (thread_ == 0) {
      call(Role::q_norm, jit::NormKey{shape.q_dim(), shape.norm_eps},
           jit::NormArgs{s_.q, w.q_norm.weight, s_.q});
    }
    if (thread_ == m_.threads - 1) {
      call(Role::k_norm, jit::NormKey{shape.kv_dim(), shape.norm_eps},
           jit::NormArgs{s_.k, w.k_norm.weight, s_.k});
    }
    meet();
  }

  void rotate_queries(const LayerShape& shape, const LayerWeights& weights, const HeadShare& mine,
                      const float* q, float* out) {
    const std::int64_t first = mine.begin * shape.group();
    rotate({Role::q_norm, Role::rotate_q}, shape, weights.q_norm, m_.rope.queries(layer_index()), q, out,
           {first, first + mine.size() * shape.group()});
  }

  // RoPE of heads [begin, end), after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const NormWeights& norm, const float* table,
              const float* x, float* out, std::pair<std::int64_t, std::int64_t> heads) {
    const std::int64_t n_heads = heads.second - heads.first;
    if (norms_each_head(shape, norm)) {
      call(roles.first, head_norm(shape),
           jit::NormArgs{x, head_weights(shape, norm, heads.first), out, norm.bias, n_heads});
      x = out;
    }
    call(roles.second, jit::RopeKey{shape.head_dim()}, jit::RopeArgs{x, out, table, s_.cursor, n_heads});
  }

  // Rotates and appends k, and appends v.
  void append(const LayerShape& shape, const LayerWeights& weights, std::int64_t first,
              std::int64_t n_heads) {
    float* const k = s_.k + first * shape.head_dim();
    rotate({Role::k_norm, Role::rotate_k}, shape, weights.k_norm, m_.rope.keys(layer_index()), k, k,
           {first, first + n_heads});
    call(Role::append, m_.cache.append_key(layer_index()),
         jit::KvAppendArgs{k, s_.v + first * shape.head_dim(), s_.cursor,
                           m_.cache.keys_at(layer_index(), first), m_.cache.values_at(layer_index(), first),
                           n_heads});
  }

  void classifier() {
    const Config& c = m_.config;
    norm(Role::final_norm, c, m_.weights.final_norm, {});
    // Where a thread computes just its own share, it looks through what it has just written, still in its
    // cache.
    const bool dealt = matvec_dealt(Role::classifier, m_.weights.classifier, Epilogue::store, s_.logits);
    if (dealt) meet();
    const auto [begin, end] = share(m_.weights.classifier.units());
    if (begin == end) return;
    const std::int64_t first = begin * jit::kLanes;
    const std::int64_t behind = std::min<std::int64_t>(end * jit::kLanes, c.vocab_size);
    if (c.logit_cap > 0) {
      call(Role::cap, jit::CapKey{c.vocab_size, c.logit_cap}, jit::CapArgs{s_.logits, first, behind});
    }
    call(Role::argmax, jit::ArgmaxKey{c.vocab_size},
         jit::ArgmaxArgs{s_.logits, scratch_.best, first, behind});
  }

  void matvec(Role role, const PackedMatrix& matrix, Units units, Epilogue epilogue, float* out) {
    if (units.first == units.second) return;
    prepare(input_format(matrix.format));
    call(role, matvec_key(matrix, epilogue),
         jit::MatvecArgs{matrix.data, input_.x, scratch_.q, out, units.first, units.second, matrix.scales,
                         matrix.bias});
  }

  jit::MatvecKey matvec_key(const PackedMatrix& matrix, Epilogue epilogue) const {
    return m_.tuning.choose({.format = matrix.format,
                             .rows = matrix.rows,
                             .cols = matrix.cols,
                             .epilogue = epilogue,
                             .affine = matrix.affine()},
                            m_.code.isa());
  }

  void prepare(const std::optional<jit::InputFormat>& format) { prepare(format, scratch_.q); }
  void prepare(const std::optional<jit::InputFormat>& format, const jit::QuantizedArgs& to) {
    if (!format || input_.prepared_for == format) return;
    const jit::QuantizeArgs args{input_.x, to};
    if (format->pairs) {
      call(Role::round, jit::RoundKey{input_.n}, args);
    } else {
      call(Role::quantize, jit::QuantizeKey{input_.n, format->group, format->subgroup, format->zero}, args);
    }
    input_.prepared_for = format;
  }

  // The same for a whole matrix, whose units are dealt out if it is large enough. Whether it is.
  bool matvec_dealt(Role role, const PackedMatrix& matrix, Epilogue epilogue, float* out) {
    const std::int64_t portion = dealt_portion(matrix);
    const bool dealt = m_.threads > 1 && matrix.units() / m_.threads >= kPortionsWorthDealing * portion;
    matvec(role, matrix, share(matrix.units()), epilogue, out);
    if (dealt) {
      Step& step = steps_->back();
      step.calls = Calls::units;
      step.rows = &kDealtUnits;
      step.deal = memory_.deal(matrix.data, matrix.units(), portion, m_.threads);
    }
    return dealt;
  }

  TokenProgram& p_;
  const State& s_;
  const Scratch& scratch_;
  Input input_;
  ExpertTable* table_ = nullptr;  // of the layer at hand
};

TokenProgram::TokenProgram(const Model& model) : vocab_size_(model.config.vocab_size) {
  Carver sizing(nullptr);
  place(sizing, model);
  memory_ = PagedMemory(sizing.size(), "activations");
  Carver carver(memory_.data());
  s_ = place(carver, model);
  new (s_.cursor) jit::Cursor();
  for (Program* program : {&feed, &classify})
    program->threads.resize(static_cast<std::size_t>(model.threads));
  for (int t = 0; t < model.threads; ++t) Writer(*this, model, t).write();
  softmax_step.target.kernel = &model.code.get(jit::SoftmaxKey{vocab_size_}).info();
  softmax_step.args = step_memory_.keep(jit::SoftmaxArgs{s_.logits, 1.0F});
  softmax_step.role = Role::softmax;
}

void TokenProgram::link() {
  feed.link();
  classify.link();
  softmax_step.target.link();
}

std::int32_t TokenProgram::argmax() const {
  // Threads' logits follow each other, so the first of equals is the earliest.
  const jit::Best* best = s_.scratch.front().best;
  for (const Scratch& s : s_.scratch) {
    if (s.best->value > best->value) best = s.best;
  }
  return best->index;
}

void TokenProgram::softmax(std::span<float> x, float scale) const {
  assert(x.size() == static_cast<std::size_t>(vocab_size_));
  const jit::SoftmaxArgs args{x.data(), scale};
  softmax_step.target.call(&args);
}

}  // namespace llamajit
