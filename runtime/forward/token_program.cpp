#include "runtime/forward/token_program.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "jit/kernels/embed.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/rope.h"
#include "jit/kernels/softmax.h"
#include "runtime/forward/layer.h"

namespace llamajit {

using jit::Epilogue;

namespace {

// With fewer portions for each thread than some, a deal evens nothing out.
constexpr std::int64_t kPortionsWorthDealing = 4;

// A context of one range leaves nothing to share.
bool attends_in_parts(const Model& model, const LayerShape& shape) {
  return HeadDeal(shape, model.threads).shares_heads() && model.cache.context() > jit::kAttentionRange;
}

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
      call(Role::embed, jit::EmbedKey{table.format, m_.config.dim},
           jit::EmbedArgs{table.data, s_.x, s_.cursor});
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
    call(role, jit::NormKey{shape.dim, shape.norm_eps, shape.norm},
         jit::NormArgs{s_.x, weights.weight, scratch_.norm, weights.bias});
    input_ = {scratch_.norm, shape.dim, {}};
  }

  void project(const LayerShape& shape, const LayerWeights& w) {
    const std::pair<const PackedMatrix*, float*> products[] = {{&w.wq, s_.q}, {&w.wk, s_.k}, {&w.wv, s_.v}};
    constexpr Role kRoles[] = {Role::q, Role::k, Role::v};
    if (heads(shape).fits_tiles()) {
      for (int i = 0; i < 3; ++i) {
        const auto& [matrix, out] = products[i];
        matvec(kRoles[i], *matrix, share(matrix->units()), Epilogue::store, out);
      }
      return;
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
  }

  // Norms, RoPE, append and attention for this thread's K/V heads and the query heads that share them.
  void attend(const LayerShape& shape, const LayerWeights& weights) {
    if (attends_in_parts(m_, shape)) return attend_in_parts(shape, weights);
    const HeadShare mine = heads(shape).of(thread_);
    if (mine.part > 0) return;
    const std::int64_t first_query = mine.begin * shape.group() * shape.head_dim();
    float* const q = s_.q + first_query;
    rotate({Role::q_norm, Role::rotate_q}, shape, weights.q_norm, q, q, mine.size() * shape.group());
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
  // x += W values, which are normalised before if there are weights for that; ends with a barrier.
  void add_product(NormRoles roles, const LayerShape& shape, const float* norm_weight, const float* values,
                   const PackedMatrix& matrix) {
    input_ = {values, matrix.cols, {}};
    if (norm_weight != nullptr) {
      call(roles.first, jit::NormKey{matrix.cols, shape.norm_eps},
           jit::NormArgs{values, norm_weight, scratch_.norm});
      input_.x = scratch_.norm;
    }
    matvec_dealt(roles.second, matrix, Epilogue::add, s_.x);
    meet();
  }

 private:
  using Units = std::pair<std::int64_t, std::int64_t>;
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
    rotate({Role::q_norm, Role::rotate_q}, shape, weights.q_norm, s_.q + first_query * shape.head_dim(),
           scratch_.rotated, shape.group());
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

  // RoPE, after a norm of each head if there are weights for it.
  void rotate(NormRoles roles, const LayerShape& shape, const float* weight, const float* x, float* out,
              std::int64_t n_heads) {
    if (weight != nullptr) {
      call(roles.first, jit::NormKey{shape.head_dim(), shape.norm_eps},
           jit::NormArgs{x, weight, out, nullptr, n_heads});
      x = out;
    }
    call(roles.second, jit::RopeKey{shape.head_dim()},
         jit::RopeArgs{x, out, m_.rope.data(layer_index()), s_.cursor, n_heads});
  }

  // Rotates and appends k, and appends v.
  void append(const LayerShape& shape, const LayerWeights& weights, std::int64_t first,
              std::int64_t n_heads) {
    float* const k = s_.k + first * shape.head_dim();
    rotate({Role::k_norm, Role::rotate_k}, shape, weights.k_norm, k, k, n_heads);
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
    call(Role::argmax, jit::ArgmaxKey{c.vocab_size},
         jit::ArgmaxArgs{s_.logits, scratch_.best, begin * jit::kLanes,
                         std::min<std::int64_t>(end * jit::kLanes, c.vocab_size)});
  }

  void matvec(Role role, const PackedMatrix& matrix, Units units, Epilogue epilogue, float* out) {
    if (units.first == units.second) return;
    prepare(input_format(matrix.format));
    call(role,
         m_.tuning.choose(jit::MatvecKey{.format = matrix.format,
                                         .rows = matrix.rows,
                                         .cols = matrix.cols,
                                         .epilogue = epilogue,
                                         .affine = matrix.affine()},
                          m_.code.isa()),
         jit::MatvecArgs{matrix.data, input_.x, scratch_.q, out, units.first, units.second, matrix.scales,
                         matrix.bias});
  }

  void prepare(const std::optional<jit::InputFormat>& format) {
    if (!format || input_.prepared_for == format) return;
    const jit::QuantizeArgs args{input_.x, scratch_.q};
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

// Places all state: called once without memory to learn the size, and once with it.
TokenProgram::State TokenProgram::place(Carver& carver, const Model& model) {
  const Config& c = model.config;
  State s;
  s.cursor = carver.take<jit::Cursor>(1);
  s.x = carver.take<float>(c.dim);
  s.q = carver.take<float>(c.most(&LayerShape::q_dim));
  s.k = carver.take<float>(c.most(&LayerShape::kv_dim));
  s.v = carver.take<float>(c.most(&LayerShape::kv_dim));
  s.att = carver.take<float>(c.most(&LayerShape::q_dim));
  s.hidden = carver.take<float>(c.most(&LayerShape::hidden_dim));
  s.logits = carver.take<float>(c.vocab_size);
  std::int64_t records = 0, rotated = 0, attention = 0;
  for (std::size_t i = 0; i < model.cache.n_layers(); ++i) {
    const LayerShape& shape = c.layer(i);
    if (attends_in_parts(model, shape)) {
      records = std::max(records, shape.n_heads * jit::attention_ranges(model.cache.context()) *
                                      jit::attention_record(shape.head_dim()));
    }
    rotated = std::max<std::int64_t>(rotated, std::int64_t{shape.group()} * shape.head_dim());
    attention = std::max(attention, model.cache.attention_key(i).scratch_floats());
  }
  s.records = carver.take<float>(records);
  const int longest = std::max({c.dim, c.most(&LayerShape::q_dim), c.most(&LayerShape::hidden_dim)});
  for (int t = 0; t < model.threads; ++t) {
    Scratch& scratch = s.scratch.emplace_back();
    scratch.norm = carver.take<float>(longest);
    // The shortest group, one value, is padded to four codes.
    scratch.q = {carver.take<std::int8_t>(std::int64_t{4} * longest), carver.take<float>(longest),
                 carver.take<std::int32_t>(longest), carver.take<float>(longest),
                 carver.take<std::int16_t>(longest)};
    scratch.rotated = carver.take<float>(rotated);
    scratch.attention = carver.take<float>(attention);
    scratch.best = carver.take<jit::Best>(1);
    if (scratch.best != nullptr) *scratch.best = {-std::numeric_limits<float>::infinity(), 0};
  }
  return s;
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
