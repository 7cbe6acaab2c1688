#include "runtime/forward/rows_program.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "jit/kernels/embed.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/rope.h"
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

// Elements from a row of a prepared input to the next one's.
struct PreparedStrides {
  PreparedStrides(const jit::InputFormat& format, int n)
      : codes(row_stride(format.codes_bytes(n))), groups(format.groups(n)), subgroups(format.subgroups(n)) {}
  std::int64_t codes, groups, subgroups;
};

}  // namespace

RowState::RowState(const Model& model, int most_rows)
    : rows(most_rows), at(static_cast<std::size_t>(most_rows)) {
  Carver sizing(nullptr);
  place(sizing, model);
  memory = PagedMemory(sizing.size(), "activations of several rows");
  Carver carver(memory.data());
  place(carver, model);
}

// Places all state: called once without memory to learn the size, and once with it.
void RowState::place(Carver& carver, const Model& model) {
  const Config& c = model.config;
  const auto matrix = [&](int n) {
    return carver.take<float>(jit::round_up(rows, jit::kTokenBlock) * row_stride(n));
  };
  x = matrix(c.dim);
  norm = matrix(c.dim);
  q = matrix(c.most(&LayerShape::q_dim));
  k = matrix(c.most(&LayerShape::kv_dim));
  v = matrix(c.most(&LayerShape::kv_dim));
  att = matrix(c.most(&LayerShape::q_dim));
  hidden = matrix(c.most(&LayerShape::hidden_dim));
  classified = carver.take<float>(kClassified * row_stride(c.dim));
  logits = carver.take<float>(kClassified * row_stride(c.vocab_size));
  best = carver.take<jit::Best>(kClassified);
  place_prepared(carver, model);
  std::int64_t scratch = 0;
  for (const auto& matrices : matrix_inputs(model.weights)) {
    for (const PackedMatrix* m : matrices) {
      // Which epilogue it is does not change the size, but for whether a unit has two tiles.
      const Epilogue epilogue = m->tiles_per_unit > 1 ? Epilogue::swiglu : Epilogue::store;
      scratch =
          std::max(scratch, jit::matmul_scratch_bytes({m->format, m->rows, m->cols, epilogue, m->affine()}));
    }
  }
  std::int64_t attention = 0;
  for (std::size_t i = 0; i < model.cache.n_layers(); ++i) {
    attention = std::max({attention, model.cache.attention_key(i).scratch_floats(),
                          model.cache.tile_key(i, 0).scratch_floats()});
  }
  matmul_scratch.clear();
  attention_scratch.clear();
  for (int t = 0; t < model.threads; ++t) {
    matmul_scratch.push_back(carver.take<std::byte>(scratch));
    attention_scratch.push_back(carver.take<float>(attention));
  }
}

// One for each way in which an input is prepared, as large as any matrix needs it.
void RowState::place_prepared(Carver& carver, const Model& model) {
  struct Sizes {
    std::int64_t codes = 0, groups = 0, subgroups = 0;  // of a row
  };
  std::vector<Sizes> sizes;
  for (const auto& matrices : matrix_inputs(model.weights)) {
    std::vector<jit::InputFormat> formats;
    for (const PackedMatrix* m : matrices) {
      const auto format = input_format(m->format);
      if (!format || std::ranges::count(formats, *format) > 0) continue;
      formats.push_back(*format);
      sizes.resize(std::max(sizes.size(), formats.size()));
      const PreparedStrides strides(*format, m->cols);
      Sizes& s = sizes[formats.size() - 1];
      s = {std::max(s.codes, strides.codes), std::max(s.groups, strides.groups),
           std::max(s.subgroups, strides.subgroups)};
    }
  }
  const std::int64_t padded = jit::round_up(rows, jit::kTokenBlock);
  prepared.clear();
  for (const Sizes& s : sizes) {
    prepared.push_back({carver.take<std::int8_t>(padded * s.codes), carver.take<float>(padded * s.groups),
                        carver.take<std::int32_t>(padded * s.subgroups),
                        carver.take<float>(padded * s.groups),
                        carver.take<std::int16_t>(padded * s.subgroups)});
  }
}

// Writes the programs of one thread.
class RowsProgram::Writer : public Lowering {
 public:
  Writer(RowsProgram& program, const Model& model, RowState& state, int tokens, int thread)
      : Lowering(model, program.step_memory_, thread), p_(program), s_(state), tokens_(tokens) {}

  void write() {
    write_to(p_.feed);
    const PackedMatrix& table = m_.weights.embedding;
    each_row(call(Role::embed, jit::EmbedKey{table.format, m_.config.dim},
                  jit::EmbedArgs{table.data, s_.x, s_.at.data()}),
             members({{offsetof(jit::EmbedArgs, out), row_stride(m_.config.dim) * kFloat},
                      kCursor<jit::EmbedArgs>}));
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

  void project(const LayerShape& /*shape*/, const LayerWeights& w) {
    multiply(Role::q, w.wq, Epilogue::store, s_.q);
    multiply(Role::k, w.wk, Epilogue::store, s_.k);
    multiply(Role::v, w.wv, Epilogue::store, s_.v);
    meet();
  }

  // Norms, RoPE, append and attention for this thread's heads, of which threads that share one each take some
  // of the rows; all keys first, as later rows of a run see them.
  void attend(const LayerShape& shape, const LayerWeights& weights) {
    const HeadShare mine = heads(shape).of(thread_);
    const int dim = shape.head_dim();
    float* const q = s_.q + mine.begin * shape.group() * dim;
    float* const k = s_.k + mine.begin * dim;
    rotate({Role::q_norm, Role::rotate_q}, shape, mine, weights.q_norm, q, shape.q_dim(),
           mine.size() * shape.group());
    rotate({Role::k_norm, Role::rotate_k}, shape, mine, weights.k_norm, k, shape.kv_dim(), mine.size());
    append(shape, mine, k, s_.v + mine.begin * dim);
    if (heads(shape).shares_heads()) meet();
    attention(shape, mine, q, s_.att + mine.begin * shape.group() * dim);
  }

  void hidden(const LayerShape& shape, const PackedMatrix& matrix) {
    multiply(Role::gate_up, matrix, shape.activation, s_.hidden);
  }
  float* attended() const { return s_.att; }
  float* hidden_values() const { return s_.hidden; }
  // x += W values, which are normalised in place before if there are weights for that; ends with a barrier.
  void add_product(NormRoles roles, const LayerShape& shape, const float* norm_weight, float* values,
                   const PackedMatrix& matrix) {
    const int n = matrix.cols;
    if (norm_weight != nullptr) {
      const std::int64_t stride = row_stride(n) * kFloat;
      each_row(call(roles.first, jit::NormKey{n, shape.norm_eps}, jit::NormArgs{values, norm_weight, values}),
               members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
    }
    prepare(values, n, {&matrix});
    if (norm_weight != nullptr || !formats_.empty()) meet();
    multiply(roles.second, matrix, Epilogue::add, s_.x);
    meet();
  }

 private:
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

  // s_.norm = the norm of x, ready for the matrices; ends with a barrier.
  void norm_of(Role role, const LayerShape& shape, const NormWeights& weights, const float* x,
               Matrices matrices) {
    const std::int64_t stride = row_stride(shape.dim) * kFloat;
    each_row(call(role, jit::NormKey{shape.dim, shape.norm_eps, shape.norm},
                  jit::NormArgs{x, weights.weight, s_.norm, weights.bias}),
             members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
    prepare(s_.norm, shape.dim, matrices);
    meet();
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
      const PreparedStrides strides(format, n);
      constexpr std::size_t kOut = offsetof(jit::QuantizeArgs, out);
      each_row(step, members({{offsetof(jit::QuantizeArgs, x), row_stride(n) * kFloat},
                              {kOut + offsetof(jit::QuantizedArgs, codes), strides.codes},
                              {kOut + offsetof(jit::QuantizedArgs, scales), strides.groups * kFloat},
                              {kOut + offsetof(jit::QuantizedArgs, offsets), strides.subgroups * 4},
                              {kOut + offsetof(jit::QuantizedArgs, sums), strides.groups * kFloat},
                              {kOut + offsetof(jit::QuantizedArgs, subsums), strides.subgroups * 2}}));
    }
  }

  // RoPE in place, after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const HeadShare& mine, const float* weight, float* x,
              int n, std::int64_t n_heads) {
    const std::int64_t stride = row_stride(n);
    if (weight != nullptr) {
      Step& step = call(roles.first, jit::NormKey{shape.head_dim(), shape.norm_eps},
                        jit::NormArgs{x, weight, x, nullptr, n_heads});
      each_row(step, members({{offsetof(jit::NormArgs, x), stride * kFloat},
                              {offsetof(jit::NormArgs, out), stride * kFloat}}));
      step.part = mine.part;
      step.parts = mine.parts;
    }
    row_range(call(roles.second, jit::RopeKey{shape.head_dim()},
                   jit::RopeArgs{x, x, m_.rope.data(layer_index()), s_.at.data(), n_heads, 1, stride}),
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
