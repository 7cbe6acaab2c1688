#include "runtime/forward/token_program.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "jit/kernels/embed.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/softmax.h"
#include "runtime/forward/layer.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

namespace {

// With fewer portions for each thread than some, a deal evens nothing out.
constexpr std::int64_t kPortionsWorthDealing = 4;

// Of deals, which units are a thread's shows as they are multiplied.
constexpr RowMembers kDealtUnits{.units_at = offsetof(jit::MatvecArgs, unit_begin)};
constexpr RowMembers kNothingFollows{};

}  // namespace

void TokenProgram::Writer::write() {
  write_to(p_.feed);
  // Tokens with hidden states come as rows.
  if (!m_.config.takes_hidden) feed();
  write_to(p_.classify);
  enter_layer(-1);
  if (m_.weights.classifier.exists()) classifier();
}

void TokenProgram::Writer::feed() {
  if (thread_ == 0) {
    const PackedMatrix& table = m_.weights.embedding;
    Step& step = call(Role::embed, jit::EmbedKey{table.format, m_.config.dim, m_.config.embedding_scale},
                      jit::EmbedArgs{table.data, s_.x, cursor()});
    if (table.is_split) {
      step.calls = Calls::each_row;
      step.rows = &kNothingFollows;
      step.tokens = embedded_tokens();
      exchange_alone({embedded(s_.x, 0, cursor())}, false);
    }
    const auto add = [&](const PackedMatrix& rows, jit::EmbedRow row) {
      if (!rows.exists()) return;
      call(Role::embed, jit::EmbedKey{rows.format, m_.config.dim, 1, row},
           jit::EmbedArgs{rows.data, s_.x, cursor()});
    };
    add(m_.weights.token_types, jit::EmbedRow::first);
    add(m_.weights.positions, jit::EmbedRow::position);
  }
  meet();
  norm_stream(Role::embedding_norm, m_.config, m_.weights.embedding_norm);
  if (m_.weights.layer_inputs.exists()) layer_inputs();
  for (std::size_t i = 0; i < m_.weights.layers.size(); ++i) {
    enter_layer(static_cast<int>(i));
    layer(*this, m_.config.layer(i), m_.weights.layers[i]);
  }
}

void TokenProgram::Writer::norm(Role role, const LayerShape& shape, const NormWeights& weights,
                                Matrices /*matrices*/) {
  input_ = {s_.x, shape.dim, {}};
  if (!weights.exists()) return;
  call(role, jit::NormKey{shape.dim, shape.norm_eps, shape.norm},
       jit::NormArgs{s_.x, weights.weight, scratch_.norm, weights.bias});
  input_.x = scratch_.norm;
}

void TokenProgram::Writer::norm_stream(Role role, const LayerShape& shape, const NormWeights& weights) {
  if (!weights.exists()) return;
  if (thread_ == 0) {
    call(role, jit::NormKey{shape.dim, shape.norm_eps, shape.norm},
         jit::NormArgs{s_.x, weights.weight, s_.x, weights.bias});
  }
  meet();
}

void TokenProgram::Writer::hidden(const LayerShape& shape, const PackedMatrix& matrix) {
  matvec_dealt(Role::gate_up, matrix, shape.activation, s_.hidden);
}

void TokenProgram::Writer::gather_attended(const LayerShape& shape, const LayerWeights& w) {
  std::vector<Spread> spreads{attention_of_heads(shape, s_.att, 0)};
  if (shape.parallel_residual) add_hidden(shape, w, spreads);
  meet_and_gather(std::move(spreads));
}

void TokenProgram::Writer::gather_hidden(const LayerShape& shape, const LayerWeights& w) {
  std::vector<Spread> spreads;
  add_hidden(shape, w, spreads);
  meet_and_gather(std::move(spreads));
}

void TokenProgram::Writer::add_hidden(const LayerShape& shape, const LayerWeights& w,
                                      std::vector<Spread>& spreads) const {
  if (!shape.has_experts()) return spreads.push_back(products(w.gate_up, s_.hidden, 0));
  spreads.push_back(products(w.gate_up, s_.expert_hidden, shape.hidden_dim, table_));
  if (w.shared_gate_up.exists()) spreads.push_back(products(w.shared_gate_up, s_.shared_hidden, 0));
}

void TokenProgram::Writer::add_branch(const BranchRoles& roles, const LayerShape& shape,
                                      const float* sub_norm, const float* values, const PackedMatrix& matrix,
                                      const NormWeights& post_norm) {
  input_ = {values, matrix.cols, {}};
  if (sub_norm != nullptr) {
    call(roles.sub_norm, jit::NormKey{matrix.cols, shape.norm_eps},
         jit::NormArgs{values, sub_norm, scratch_.norm});
    input_.x = scratch_.norm;
  }
  if (!post_norm.exists()) {
    matvec_dealt(roles.product, matrix, Epilogue::add, s_.x);
    return meet_and_gather({products(matrix, s_.x, 0)});
  }
  matvec_dealt(roles.product, matrix, Epilogue::store, s_.branch);
  meet_and_gather({products(matrix, s_.branch, 0)});
  if (thread_ == 0) {
    call(roles.post_norm, post_norm_key(shape, true),
         jit::NormArgs{s_.branch, post_norm.weight, s_.x, post_norm.bias});
  }
  meet();
}

void TokenProgram::Writer::classifier() {
  const Config& c = m_.config;
  norm(Role::final_norm, c, m_.weights.final_norm, {});
  // Where a thread computes just its own share, it looks through what it has just written, still in its
  // cache.
  const PackedMatrix& matrix = m_.weights.classifier;
  const bool dealt = matvec_dealt(Role::classifier, matrix, Epilogue::store, s_.logits);
  if (matrix.is_split) {
    exchange({products(matrix, s_.logits, 0)}, true);
    if (split_.rank() > 0) return;
  } else if (dealt) {
    meet();
  }
  const auto [begin, end] = share(matrix.all_units());
  if (begin == end) return;
  const std::int64_t first = begin * jit::kLanes;
  const std::int64_t behind = std::min<std::int64_t>(end * jit::kLanes, c.vocab_size);
  if (c.logit_cap > 0) {
    call(Role::cap, jit::CapKey{c.vocab_size, c.logit_cap}, jit::CapArgs{s_.logits, first, behind});
  }
  call(Role::argmax, jit::ArgmaxKey{c.vocab_size}, jit::ArgmaxArgs{s_.logits, scratch_.best, first, behind});
}

void TokenProgram::Writer::matvec(Role role, const PackedMatrix& matrix, Share units, Epilogue epilogue,
                                  float* out) {
  if (units.first == units.second) return;
  prepare(input_format(matrix.format));
  call(role, matvec_key(matrix, epilogue),
       jit::MatvecArgs{matrix.data, input_.x, scratch_.q, out, units.first, units.second, matrix.scales,
                       matrix.bias});
}

jit::MatvecKey TokenProgram::Writer::matvec_key(const PackedMatrix& matrix, Epilogue epilogue) const {
  return m_.tuning.choose({.format = matrix.format,
                           .rows = matrix.rows,
                           .cols = matrix.cols,
                           .epilogue = epilogue,
                           .affine = matrix.affine()},
                          m_.code.isa());
}

void TokenProgram::Writer::prepare(const std::optional<jit::InputFormat>& format,
                                   const jit::QuantizedArgs& to) {
  if (!format || input_.prepared_for == format) return;
  const jit::QuantizeArgs args{input_.x, to};
  if (format->pairs) {
    call(Role::round, jit::RoundKey{input_.n}, args);
  } else {
    call(Role::quantize, jit::QuantizeKey{input_.n, format->group, format->subgroup, format->zero}, args);
  }
  input_.prepared_for = format;
}

bool TokenProgram::Writer::matvec_dealt(Role role, const PackedMatrix& matrix, Epilogue epilogue,
                                        float* out) {
  const std::int64_t portion = dealt_portion(matrix);
  const bool dealt = m_.threads > 1 && matrix.units() / m_.threads >= kPortionsWorthDealing * portion;
  matvec(role, matrix, share(matrix), epilogue, out);
  if (dealt) {
    Step& step = steps_->back();
    step.calls = Calls::units;
    step.rows = &kDealtUnits;
    step.deal = memory_.deal(matrix, matrix.own.first, matrix.units(), portion, m_.threads);
  }
  return dealt;
}

TokenProgram::TokenProgram(const Model& model)
    : vocab_size_(model.config.vocab_size), cursors_(model.cache.kinds()) {
  Carver sizing(nullptr);
  place(sizing, model);
  memory_ = PagedMemory(sizing.size(), "activations");
  Carver carver(memory_.data());
  s_ = place(carver, model);
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
