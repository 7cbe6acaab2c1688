#include "runtime/forward/rows_program.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "jit/kernels/copy.h"
#include "jit/kernels/embed.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/mix.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/rope.h"
#include "jit/kernels/route.h"
#include "runtime/forward/layer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

namespace {

constexpr std::int64_t kFloat = sizeof(float);

RowMembers members(std::initializer_list<RowMembers::Pointer> pointers) {
  RowMembers m;
  for (const RowMembers::Pointer& pointer : pointers) m.pointers[m.n_pointers++] = pointer;
  return m;
}

}  // namespace

// Writes the programs of one thread.
class RowsProgram::Writer : public Lowering {
 public:
  Writer(RowsProgram& program, const Model& model, RowState& state, int tokens, int thread)
      : Lowering(model, program.step_memory_, thread), p_(program), s_(state), tokens_(tokens) {}

  void write() {
    write_to(p_.feed);
    embed(m_.weights.embedding, m_.config.embedding_scale, false);
    if (m_.weights.positions.data != nullptr) embed(m_.weights.positions, 1, true);
    for (std::size_t i = 0; i < m_.weights.layers.size(); ++i) {
      enter_layer(static_cast<int>(i));
      layer(*this, m_.config.layer(i), m_.weights.layers[i]);
    }
    write_to(p_.classify);
    enter_layer(-1);
    classifier();
  }

  void norm(Role role, const LayerShape& shape, const NormWeights& weights, Matrices matrices) {
    norm_of(role, shape, weights, s_.x, matrices);
  }

  void project(const LayerShape& shape, const LayerWeights& w) {
    multiply(Role::q, w.wq, Epilogue::store, s_.q);
    multiply(Role::k, w.wk, Epilogue::store, s_.k);
    multiply(Role::v, w.wv, Epilogue::store, s_.v);
    meet();
    if (!norms_heads_together(shape, w.q_norm)) return;
    norm_rows(Role::q_norm, {shape.q_dim(), shape.norm_eps}, {s_.q, w.q_norm.weight, s_.q});
    norm_rows(Role::k_norm, {shape.kv_dim(), shape.norm_eps}, {s_.k, w.k_norm.weight, s_.k});
    meet();
  }

  // Norms, RoPE, append and attention for this thread's heads, of which threads that share one each take some
  // of the rows; all keys first, as later rows of a run see them.
  void attend(const LayerShape& shape, const LayerWeights& weights) {
    const HeadShare mine = heads(shape).of(thread_);
    const int dim = shape.head_dim();
    float* const q = s_.q + mine.begin * shape.group() * dim;
    float* const k = s_.k + mine.begin * dim;
    const Rotated queries{m_.rope.queries(layer_index()), q, shape.q_dim(), mine.begin * shape.group(),
                          mine.size() * shape.group()};
    const Rotated keys{m_.rope.keys(layer_index()), k, shape.kv_dim(), mine.begin, mine.size()};
    rotate({Role::q_norm, Role::rotate_q}, shape, mine, weights.q_norm, queries);
    rotate({Role::k_norm, Role::rotate_k}, shape, mine, weights.k_norm, keys);
    append(shape, mine, k, s_.v + mine.begin * dim);
    if (heads(shape).shares_heads()) meet();
    attention(shape, mine, q, s_.att + mine.begin * shape.group() * dim);
  }

  void hidden(const LayerShape& shape, const PackedMatrix& matrix) {
    multiply(Role::gate_up, matrix, shape.activation, s_.hidden);
  }
  float* attended() const { return s_.att; }
  float* hidden_values() const { return s_.hidden; }
  // x += W values, of which either is normed before where there are weights for that, the values in place;
  // ends with a barrier.
  void add_branch(const BranchRoles& roles, const LayerShape& shape, const float* sub_norm, float* values,
                  const PackedMatrix& matrix, const NormWeights& post_norm) {
    const int n = matrix.cols;
    if (sub_norm != nullptr) norm_rows(roles.sub_norm, {n, shape.norm_eps}, {values, sub_norm, values});
    prepare(values, n, {&matrix});
    if (sub_norm != nullptr || !formats_.empty()) meet();
    const bool norms = post_norm.exists();
    multiply(roles.product, matrix, norms ? Epilogue::store : Epilogue::add, norms ? s_.branch : s_.x);
    meet();
    if (!norms) return;
    norm_rows(roles.post_norm, {.n = shape.dim, .eps = shape.norm_eps, .kind = shape.norm, .adds = true},
              {s_.branch, post_norm.weight, s_.x, post_norm.bias});
    meet();
  }

  void experts_hidden(const LayerShape& shape, const LayerWeights& w) {
    multiply(Role::router, w.router, Epilogue::store, s_.router);
    if (w.shared_router.exists()) {
      multiply(Role::shared_router, w.shared_router, Epilogue::store, s_.shared_router);
    }
    meet();
    route(shape, w);
    if (w.shared_gate_up.exists()) {
      multiply(Role::shared_gate_up, w.shared_gate_up, shape.activation, s_.hidden);
    }
    meet();
    table_ = memory_.keep_table(shape.route, s_.rows,
                                {.ids = s_.ids,
                                 .results = s_.expert_results,
                                 .result_stride = row_stride(shape.dim),
                                 .shared_results = s_.branch,
                                 .shared_stride = row_stride(shape.dim)});
    gather(Role::gather, w.gate_up, s_.norm, s_.expert_x, true);
    meet();
    multiply_chosen(Role::gate_up, shape, w.gate_up, shape.activation, s_.expert_x, s_.expert_hidden);
  }

  void add_experts(const LayerShape& shape, const LayerWeights& w) {
    gather(Role::quantize, w.down, s_.expert_hidden, s_.expert_hidden, false);
    if (w.shared_down.exists()) prepare(s_.hidden, shape.shared_hidden_dim, {&w.shared_down});
    meet();
    multiply_chosen(Role::down, shape, w.down, Epilogue::store, s_.expert_hidden, s_.expert_results);
    if (w.shared_down.exists()) multiply(Role::shared_down, w.shared_down, Epilogue::store, s_.branch);
    meet();
    const int slots = shape.route.slots();
    each_row(call(Role::mix, jit::MixKey{shape.dim, slots},
                  jit::MixArgs{table_->results(), s_.weights, s_.x, 0, shape.dim}),
             members({{offsetof(jit::MixArgs, x), slots * std::int64_t{sizeof(const float*)}},
                      {offsetof(jit::MixArgs, weights), slots * kFloat},
                      {offsetof(jit::MixArgs, out), row_stride(shape.dim) * kFloat}}));
    meet();
  }

 private:
  void route(const LayerShape& shape, const LayerWeights& w) {
    const jit::RouteKey key = route_key(shape);
    each_row(call(Role::route, key,
                  jit::RouteArgs{s_.router, w.router_choice, s_.shared_router, s_.ids, s_.weights,
                                 s_.route_scratch[static_cast<std::size_t>(thread_)]}),
             members({{offsetof(jit::RouteArgs, logits), row_stride(key.experts) * kFloat},
                      {offsetof(jit::RouteArgs, shared_logit), row_stride(1) * kFloat},
                      {offsetof(jit::RouteArgs, ids), key.used * kFloat},
                      {offsetof(jit::RouteArgs, weights), key.slots() * kFloat}}));
  }

  // Rows of x as an expert's matrix wants them, to where they stand by expert; x stands so already unless the
  // step behind the choice gathers it. Nothing where that leaves nothing to do.
  void gather(Role role, const PackedMatrix& matrix, const float* x, float* to, bool gathers) {
    const int n = matrix.cols;
    const auto format = input_format(matrix.format);
    if (!format && !gathers) return;
    const std::int64_t stride = row_stride(n) * kFloat;
    Step& step = !format ? call(role, jit::CopyKey{n}, jit::CopyArgs{x, to})
                 : format->pairs
                     ? call(role, jit::RoundKey{n}, jit::QuantizeArgs{x, s_.expert_prepared})
                     : call(role, jit::QuantizeKey{n, format->group, format->subgroup, format->zero},
                            jit::QuantizeArgs{x, s_.expert_prepared});
    static_assert(offsetof(jit::CopyArgs, x) == offsetof(jit::QuantizeArgs, x));
    const RowMembers input = members({{offsetof(jit::QuantizeArgs, x), stride}});
    RowMembers output =
        format ? prepared_members(*format, n) : members({{offsetof(jit::CopyArgs, out), stride}});
    if (!gathers) output.pointers[output.n_pointers++] = input.pointers[0];
    step.calls = Calls::places;
    step.rows = gathers ? memory_.keep(input) : nullptr;
    step.places = memory_.keep(output);
    step.table = table_;
    step.sorts_table = gathers;
    step.part = thread_;
    step.parts = m_.threads;
  }

  void multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix, Epilogue epilogue,
                       const float* x, float* out) {
    ExpertProduct product{.out_stride = row_stride(matrix.rows)};
    const auto format = input_format(matrix.format);
    jit::QuantizedArgs xq{};
    if (format) {
      const PreparedStrides strides(*format, matrix.cols);
      xq = s_.expert_prepared;
      x = nullptr;
      product.codes_stride = strides.codes;
      product.groups_stride = strides.groups;
      product.subgroups_stride = strides.subgroups;
    } else {
      product.x_stride = row_stride(matrix.cols);
    }
    jit::MatvecKey key{.format = matrix.format,
                       .rows = matrix.rows,
                       .cols = matrix.cols,
                       .epilogue = epilogue,
                       .affine = matrix.affine()};
    product.many = {
        &m_.code.get(jit::MatmulKey{key.format, key.rows, key.cols, epilogue, key.affine}).info()};
    product.many_args = {matrix.data, x, xq, s_.matmul_scratch[static_cast<std::size_t>(thread_)],
                         out,         0, 0,  1};
    for (std::size_t i = 1; i < ExpertProduct::kCounts.size(); ++i) {
      key.tokens = ExpertProduct::kCounts[i];
      product.few[i] = {&m_.code.get(key).info()};
    }
    key.tokens = 1;
    constexpr std::int64_t kPortion = 3;
    experts_call(role, matrix, m_.tuning.choose(key, m_.code.isa()), {matrix.data, x, xq, out, 0, 0}, product,
                 table_, ExpertTable::most_chosen(shape.route, s_.rows), kPortion);
  }

  template <class Args>
  static constexpr RowMembers::Pointer kCursor{offsetof(Args, at), sizeof(jit::Cursor)};

  void each_row(Step& step, const RowMembers& rows) {
    step.calls = Calls::each_row;
    step.rows = memory_.keep(rows);
    step.part = thread_;
    step.parts = m_.threads;
  }
  void row_range(Step& step, const HeadShare& mine, RowMembers rows, std::size_t count_at) {
    rows.count_at = count_at;
    step.calls = Calls::row_range;
    step.rows = memory_.keep(rows);
    step.part = mine.part;
    step.parts = mine.parts;
  }

  // out = the row of each token, or of its position, which is added.
  void embed(const PackedMatrix& table, float scale, bool of_position) {
    each_row(call(Role::embed, jit::EmbedKey{table.format, m_.config.dim, scale, of_position},
                  jit::EmbedArgs{table.data, s_.x, s_.at.data()}),
             members({{offsetof(jit::EmbedArgs, out), row_stride(m_.config.dim) * kFloat},
                      kCursor<jit::EmbedArgs>}));
  }

  // One vector of each row.
  void norm_rows(Role role, const jit::NormKey& key, const jit::NormArgs& args) {
    const std::int64_t stride = row_stride(key.n) * kFloat;
    each_row(call(role, key, args),
             members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
  }

  // s_.norm = the norm of x, or x as it is without one, ready for the matrices; ends with a barrier.
  void norm_of(Role role, const LayerShape& shape, const NormWeights& weights, const float* x,
               Matrices matrices) {
    if (weights.exists()) {
      norm_rows(role, {shape.dim, shape.norm_eps, shape.norm}, {x, weights.weight, s_.norm, weights.bias});
    }
    prepare(weights.exists() ? s_.norm : x, shape.dim, matrices);
    meet();  // in any case: what x is may be other threads' embedding
  }

  // What multiply() takes from here on: values, and as the matrices want them.
  void prepare(const float* values, int n, Matrices matrices) {
    values_ = values;
    formats_ = input_formats(matrices);
    for (std::size_t i = 0; i < formats_.size(); ++i) {
      const jit::InputFormat& format = formats_[i];
      const jit::QuantizeArgs args{values, s_.prepared[i]};
      Step& step = format.pairs ? call(Role::round, jit::RoundKey{n}, args)
                                : call(Role::quantize,
                                       jit::QuantizeKey{n, format.group, format.subgroup, format.zero}, args);
      RowMembers rows = prepared_members(format, n);
      rows.pointers[rows.n_pointers++] = {offsetof(jit::QuantizeArgs, x), row_stride(n) * kFloat};
      each_row(step, rows);
    }
  }
  // Of a prepared row.
  static RowMembers prepared_members(const jit::InputFormat& format, int n) {
    const PreparedStrides strides(format, n);
    constexpr std::size_t kOut = offsetof(jit::QuantizeArgs, out);
    return members({{kOut + offsetof(jit::QuantizedArgs, codes), strides.codes},
                    {kOut + offsetof(jit::QuantizedArgs, scales), strides.groups * kFloat},
                    {kOut + offsetof(jit::QuantizedArgs, offsets), strides.subgroups * 4},
                    {kOut + offsetof(jit::QuantizedArgs, sums), strides.groups * kFloat},
                    {kOut + offsetof(jit::QuantizedArgs, subsums), strides.subgroups * 2}});
  }

  // A thread's heads of a matrix.
  struct Rotated {
    const float* table;
    float* x;  // those of the first row
    int n;     // the matrix's row
    std::int64_t first, n_heads;
  };
  // RoPE in place, after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const HeadShare& mine, const NormWeights& norm,
              const Rotated& of) {
    const std::int64_t stride = row_stride(of.n), n_heads = of.n_heads;
    float* const x = of.x;
    if (norms_each_head(shape, norm)) {
      Step& step = call(roles.first, head_norm(shape),
                        jit::NormArgs{x, head_weights(shape, norm, of.first), x, norm.bias, n_heads});
      each_row(step, members({{offsetof(jit::NormArgs, x), stride * kFloat},
                              {offsetof(jit::NormArgs, out), stride * kFloat}}));
      step.part = mine.part;
      step.parts = mine.parts;
    }
    row_range(call(roles.second, jit::RopeKey{shape.head_dim()},
                   jit::RopeArgs{x, x, of.table, s_.at.data(), n_heads, 1, stride}),
              mine,
              members({{offsetof(jit::RopeArgs, x), stride * kFloat},
                       {offsetof(jit::RopeArgs, out), stride * kFloat},
                       kCursor<jit::RopeArgs>}),
              offsetof(jit::RopeArgs, n_tokens));
  }

  void append(const LayerShape& shape, const HeadShare& mine, const float* k, const float* v) {
    const std::int64_t stride = row_stride(shape.kv_dim());
    row_range(call(Role::append, m_.cache.append_key(layer_index()),
                   jit::KvAppendArgs{k, v, s_.at.data(), m_.cache.keys_at(layer_index(), mine.begin),
                                     m_.cache.values_at(layer_index(), mine.begin), mine.size(), 1, stride}),
              mine,
              members({{offsetof(jit::KvAppendArgs, k), stride * kFloat},
                       {offsetof(jit::KvAppendArgs, v), stride * kFloat},
                       kCursor<jit::KvAppendArgs>}),
              offsetof(jit::KvAppendArgs, n_tokens));
  }

  void attention(const LayerShape& shape, const HeadShare& mine, const float* q, float* out) {
    const jit::KvLayout& layout = m_.cache.layout(layer_index());
    const std::int64_t stride = row_stride(shape.q_dim());
    const jit::AttentionKey tile = m_.cache.tile_key(layer_index(), stride);
    Step& step = call(Role::attention, m_.cache.attention_key(layer_index()),
                      jit::AttentionArgs{q, out, s_.attention_scratch[static_cast<std::size_t>(thread_)],
                                         s_.at.data(), m_.cache.keys_at(layer_index(), mine.begin),
                                         m_.cache.values_at(layer_index(), mine.begin), mine.size()});
    step.calls = Calls::attention;
    step.heads = memory_.keep_heads({.share = mine,
                                     .row_stride = stride,
                                     .head_stride = std::int64_t{shape.group()} * shape.head_dim(),
                                     .keys_bytes = layout.keys_bytes(),
                                     .values_bytes = layout.values_bytes(),
                                     .tile = {&m_.code.get(tile).info()},
                                     .tile_rows = tile.tokens});
  }

  void classifier() {
    const Config& c = m_.config;
    norm_of(Role::final_norm, c, m_.weights.final_norm, s_.classified, {&m_.weights.classifier});
    multiply(Role::classifier, m_.weights.classifier, Epilogue::store, s_.logits);
    meet();
    if (c.logit_cap > 0) {
      each_row(
          call(Role::cap, jit::CapKey{c.vocab_size, c.logit_cap}, jit::CapArgs{s_.logits, 0, c.vocab_size}),
          members({{offsetof(jit::CapArgs, x), row_stride(c.vocab_size) * kFloat}}));
    }
    each_row(call(Role::argmax, jit::ArgmaxKey{c.vocab_size},
                  jit::ArgmaxArgs{s_.logits, s_.best, 0, c.vocab_size}),
             members({{offsetof(jit::ArgmaxArgs, x), row_stride(c.vocab_size) * kFloat},
                      {offsetof(jit::ArgmaxArgs, best), sizeof(jit::Best)}}));
  }

  // out = W values for all rows, with the other threads.
  void multiply(Role role, const PackedMatrix& matrix, Epilogue epilogue, float* out) {
    const auto format = input_format(matrix.format);
    jit::QuantizedArgs xq{};
    if (format)
      xq = s_.prepared[static_cast<std::size_t>(std::ranges::find(formats_, *format) - formats_.begin())];
    if (tokens_ > 0) {
      deal(call(role,
                jit::MatvecKey{.format = matrix.format,
                               .rows = matrix.rows,
                               .cols = matrix.cols,
                               .epilogue = epilogue,
                               .affine = matrix.affine(),
                               .tokens = tokens_},
                jit::MatvecArgs{matrix.data, values_, xq, out, 0, 0, matrix.scales, matrix.bias}),
           matrix, dealt_portion(matrix), {.units_at = offsetof(jit::MatvecArgs, unit_begin)});
      return;
    }
    // A smaller portion would waste matmul's registers, a larger one take longer than need be.
    constexpr std::int64_t kPortion = 3;
    deal(
        call(role, jit::MatmulKey{matrix.format, matrix.rows, matrix.cols, epilogue, matrix.affine()},
             jit::MatmulArgs{matrix.data, values_, xq, s_.matmul_scratch[static_cast<std::size_t>(thread_)],
                             out, 0, 0, 1, matrix.scales, matrix.bias}),
        matrix, kPortion,
        {.count_at = offsetof(jit::MatmulArgs, n_tokens), .units_at = offsetof(jit::MatmulArgs, unit_begin)});
  }

  void deal(Step& step, const PackedMatrix& matrix, std::int64_t portion, const RowMembers& rows) {
    step.calls = Calls::units;
    step.rows = memory_.keep(rows);
    step.deal =
        memory_.deal(matrix.data, matrix.units(), m_.threads > 1 ? portion : matrix.units(), m_.threads);
  }

  RowsProgram& p_;
  RowState& s_;
  int tokens_;
  ExpertTable* table_ = nullptr;           // of the layer at hand
  const float* values_ = nullptr;          // what is multiplied
  std::vector<jit::InputFormat> formats_;  // in which it lies in s_.prepared
};

RowsProgram::RowsProgram(const Model& model, RowState& state, int tokens) {
  for (Program* program : {&feed, &classify})
    program->threads.resize(static_cast<std::size_t>(model.threads));
  for (int t = 0; t < model.threads; ++t) Writer(*this, model, state, tokens, t).write();
}

void RowsProgram::link() {
  feed.link();
  classify.link();
  step_memory_.link();
}

}  // namespace llamajit
