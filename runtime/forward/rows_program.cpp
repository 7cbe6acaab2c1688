#include "runtime/forward/rows_program.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "jit/kernels/embed.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "runtime/forward/layer.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

RowMembers RowsProgram::Writer::members(std::initializer_list<RowMembers::Pointer> pointers) {
  RowMembers m;
  for (const RowMembers::Pointer& pointer : pointers) m.pointers[m.n_pointers++] = pointer;
  return m;
}

void RowsProgram::Writer::write() {
  write_to(p_.feed);
  embed(m_.weights.embedding, m_.config.embedding_scale, jit::EmbedRow::token);
  if (m_.weights.embedding.is_split) {
    steps_->back().tokens = embedded_tokens();
    meet_and_gather({embedded(s_.x, row_stride(m_.config.dim), cursor())});
  }
  if (m_.weights.token_types.exists()) embed(m_.weights.token_types, 1, jit::EmbedRow::first);
  if (m_.weights.positions.exists()) embed(m_.weights.positions, 1, jit::EmbedRow::position);
  norm_stream(Role::embedding_norm, m_.config, m_.weights.embedding_norm);
  if (m_.weights.layer_inputs.exists()) layer_inputs();
  if (m_.config.takes_hidden) take_hidden();
  for (std::size_t i = 0; i < m_.weights.layers.size(); ++i) {
    enter_layer(static_cast<int>(i));
    layer(*this, m_.config.layer(i), m_.weights.layers[i]);
  }
  enter_layer(-1);
  write_to(p_.classify);
  if (m_.weights.classifier.exists()) classifier();
  write_to(p_.final_norm);
  const NormWeights& norm = m_.weights.final_norm;
  if (!norm.exists()) return;
  norm_rows(Role::final_norm, {m_.config.dim, m_.config.norm_eps, m_.config.norm},
            {s_.x, norm.weight, s_.norm, norm.bias});
}

void RowsProgram::Writer::norm(Role role, const LayerShape& shape, const NormWeights& weights,
                               Matrices matrices) {
  norm_of(role, shape, weights, s_.x, matrices);
}

void RowsProgram::Writer::norm_stream(Role role, const LayerShape& shape, const NormWeights& weights) {
  if (!weights.exists()) return;
  norm_rows(role, {shape.dim, shape.norm_eps, shape.norm}, {s_.x, weights.weight, s_.x, weights.bias});
  meet();
}

void RowsProgram::Writer::project(const LayerShape& shape, const LayerWeights& w) {
  if (shape.is_latent()) return project_latent(shape, w);
  multiply(Role::q, w.wq, Epilogue::store, s_.q);
  if (shape.owns_kv()) {
    multiply(Role::k, w.wk, Epilogue::store, s_.k);
    multiply(Role::v, w.wv, Epilogue::store, s_.v);
  }
  if (w.att_gate.exists()) multiply(Role::att_gate, w.att_gate, Epilogue::store, s_.gate);
  if (!norms_heads_together(shape, w.q_norm)) return meet();
  meet_and_gather({of_heads(shape, s_.q, shape.group() * shape.head_dim(), row_stride(shape.q_dim())),
                   of_heads(shape, s_.k, shape.head_dim(), row_stride(shape.kv_dim()))});
  norm_rows(Role::q_norm, {shape.q_dim(), shape.norm_eps}, {s_.q, w.q_norm.weight, s_.q});
  norm_rows(Role::k_norm, {shape.kv_dim(), shape.norm_eps}, {s_.k, w.k_norm.weight, s_.k});
  meet();
}

void RowsProgram::Writer::hidden(const LayerShape& shape, const PackedMatrix& matrix) {
  multiply(Role::gate_up, matrix, shape.activation, s_.hidden);
}

void RowsProgram::Writer::gather_attended(const LayerShape& shape, const LayerWeights& w) {
  const bool takes_it_alone = w.att_sub_norm == nullptr && !shape.parallel_residual;
  if (takes_it_alone && leave(values_of_heads(shape, shape.group() * shape.head_dim()), w.wo)) return meet();
  std::vector<Spread> spreads{attention_of_heads(shape, s_.att, row_stride(shape.q_dim()))};
  if (shape.parallel_residual) add_hidden(shape, w, spreads);
  meet_and_gather(std::move(spreads));
}

void RowsProgram::Writer::gather_hidden(const LayerShape& shape, const LayerWeights& w) {
  const bool takes_it_alone = w.ffn_sub_norm == nullptr && !shape.has_experts();
  if (takes_it_alone && leave(rows_of_ranks(w.gate_up), w.down)) return meet();
  std::vector<Spread> spreads;
  add_hidden(shape, w, spreads);
  meet_and_gather(std::move(spreads));
}

// Whether the matrix takes whole groups of each rank's values: prepared, they are a fourth of the bytes.
bool RowsProgram::Writer::leave(std::vector<Split::Part> parts, const PackedMatrix& matrix) {
  const auto format = input_format(matrix.format);
  if (!format || parts.empty() || parts.back().second != matrix.cols) return false;
  const int group = format->pairs ? 2 : format->group;
  const auto is_whole = [=](const Split::Part& part) {
    return part.first % group == 0 && part.second % group == 0;
  };
  if (!std::ranges::all_of(parts, is_whole)) return false;
  left_ = std::move(parts);
  return true;
}

void RowsProgram::Writer::add_hidden(const LayerShape& shape, const LayerWeights& w,
                                     std::vector<Spread>& spreads) const {
  const std::int64_t stride = row_stride(shape.hidden_dim);
  if (!shape.has_experts()) return spreads.push_back(products(w.gate_up, s_.hidden, stride));
  spreads.push_back(products(w.gate_up, s_.expert_hidden, stride, table_));
  if (!w.shared_gate_up.exists()) return;
  spreads.push_back(products(w.shared_gate_up, s_.hidden, row_stride(shape.shared_hidden_dim)));
}

void RowsProgram::Writer::add_branch(const BranchRoles& roles, const LayerShape& shape, const float* sub_norm,
                                     float* values, const PackedMatrix& matrix,
                                     const NormWeights& post_norm) {
  const int n = matrix.cols;
  if (sub_norm != nullptr) norm_rows(roles.sub_norm, {n, shape.norm_eps}, {values, sub_norm, values});
  if (const auto parts = std::exchange(left_, {}); !parts.empty()) {
    prepare_left(values, n, matrix, parts);
  } else {
    prepare(values, n, {&matrix});
    if (sub_norm != nullptr || !formats_.empty()) meet();
  }
  const bool norms = post_norm.exists();
  float* const out = norms ? s_.branch : s_.x;
  multiply(roles.product, matrix, norms ? Epilogue::store : Epilogue::add, out);
  meet_and_gather({products(matrix, out, row_stride(matrix.rows))});
  if (!norms) return;
  norm_rows(roles.post_norm, post_norm_key(shape, true), {s_.branch, post_norm.weight, s_.x, post_norm.bias});
  meet();
}

void RowsProgram::Writer::each_row(Step& step, const RowMembers& rows) {
  step.calls = Calls::each_row;
  step.rows = memory_.keep(rows);
  step.part = thread_;
  step.parts = m_.threads;
}

void RowsProgram::Writer::all_rows(Step& step, const RowMembers& rows) {
  each_row(step, rows);
  step.part = 0;
  step.parts = 1;
}

void RowsProgram::Writer::runs(Step& step, RowMembers rows, std::size_t count_at) {
  rows.count_at = count_at;
  step.calls = Calls::runs;
  step.rows = memory_.keep(rows);
}

void RowsProgram::Writer::row_range(Step& step, const HeadShare& mine, RowMembers rows,
                                    std::size_t count_at) {
  rows.count_at = count_at;
  step.calls = Calls::row_range;
  step.rows = memory_.keep(rows);
  step.part = mine.part;
  step.parts = mine.parts;
}

void RowsProgram::Writer::embed(const PackedMatrix& table, int dim, float scale, jit::EmbedRow row,
                                float* out) {
  each_row(call(Role::embed, jit::EmbedKey{table.format, dim, scale, row},
                jit::EmbedArgs{table.data, out, cursor()}),
           members({{offsetof(jit::EmbedArgs, out), row_stride(dim) * kFloat}, kCursor<jit::EmbedArgs>}));
}

void RowsProgram::Writer::norm_rows(Role role, const jit::NormKey& key, const jit::NormArgs& args) {
  const std::int64_t stride = row_stride(key.n) * kFloat;
  each_row(call(role, key, args),
           members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
}

void RowsProgram::Writer::norm_of(Role role, const LayerShape& shape, const NormWeights& weights,
                                  const float* x, Matrices matrices) {
  if (weights.exists()) {
    norm_rows(role, {shape.dim, shape.norm_eps, shape.norm}, {x, weights.weight, s_.norm, weights.bias});
  }
  prepare(weights.exists() ? s_.norm : x, shape.dim, matrices);
  meet();  // in any case: what x is may be other threads' embedding
}

void RowsProgram::Writer::prepare(const float* values, int n, Matrices matrices) {
  values_ = values;
  formats_ = input_formats(matrices);
  for (std::size_t i = 0; i < formats_.size(); ++i) {
    prepare_part(formats_[i], values, n, {0, n}, s_.prepared[i]);
  }
}

void RowsProgram::Writer::prepare_part(const jit::InputFormat& format, const float* values, int n,
                                       const Split::Part& part, const jit::QuantizedArgs& to) {
  const auto [first, behind] = part;
  const auto width = static_cast<int>(behind - first);
  const jit::QuantizeArgs args{values + first,
                               {to.codes + format.codes_bytes(first), to.scales + format.groups(first),
                                to.offsets + format.subgroups(first), to.sums + format.groups(first),
                                to.subsums + format.subgroups(first)}};
  Step& step = format.pairs ? call(Role::round, jit::RoundKey{width}, args)
                            : call(Role::quantize,
                                   jit::QuantizeKey{width, format.group, format.subgroup, format.zero}, args);
  RowMembers rows = prepared_members(format, n);
  rows.pointers[rows.n_pointers++] = {offsetof(jit::QuantizeArgs, x), row_stride(n) * kFloat};
  each_row(step, rows);
}

void RowsProgram::Writer::prepare_left(const float* values, int n, const PackedMatrix& matrix,
                                       const std::vector<Split::Part>& parts) {
  values_ = values;
  formats_ = input_formats({&matrix});
  const jit::InputFormat& format = formats_.front();
  const jit::QuantizedArgs& to = s_.prepared.front();
  const Split::Part& own = parts[static_cast<std::size_t>(split_.rank())];
  if (own.first < own.second) prepare_part(format, values, n, own, to);
  const PreparedStrides strides(format, n);
  std::vector<Spread> spreads;
  // An array of which count(i) elements stand for a row's first i values.
  const auto add = [&]<class T>(T* array, std::int64_t stride, const auto& count) {
    constexpr auto kBytes = static_cast<std::int64_t>(sizeof(T));
    Spread& spread = spreads.emplace_back();
    spread.data = reinterpret_cast<std::byte*>(array);
    spread.stride = stride * kBytes;
    spread.n = count(n) * kBytes;
    for (const Split::Part& part : parts)
      spread.parts.emplace_back(count(part.first) * kBytes, count(part.second) * kBytes);
  };
  const auto groups = [&](std::int64_t i) { return format.groups(i); };
  const auto subgroups = [&](std::int64_t i) { return format.subgroups(i); };
  add(to.codes, strides.codes, [&](std::int64_t i) { return format.codes_bytes(i); });
  if (!format.pairs) {
    add(to.scales, strides.groups, groups);
    if (format.zero > 0) {
      add(to.offsets, strides.subgroups, subgroups);
    } else if (format.subgroup == format.group) {
      add(to.sums, strides.groups, groups);
    } else {
      add(to.subsums, strides.subgroups, subgroups);
    }
  }
  meet_and_gather(std::move(spreads));
}

RowMembers RowsProgram::Writer::prepared_members(const jit::InputFormat& format, int n) {
  const PreparedStrides strides(format, n);
  constexpr std::size_t kOut = offsetof(jit::QuantizeArgs, out);
  return members({{kOut + offsetof(jit::QuantizedArgs, codes), strides.codes},
                  {kOut + offsetof(jit::QuantizedArgs, scales), strides.groups * kFloat},
                  {kOut + offsetof(jit::QuantizedArgs, offsets), strides.subgroups * 4},
                  {kOut + offsetof(jit::QuantizedArgs, sums), strides.groups * kFloat},
                  {kOut + offsetof(jit::QuantizedArgs, subsums), strides.subgroups * 2}});
}

void RowsProgram::Writer::classifier() {
  const Config& c = m_.config;
  norm_of(Role::final_norm, c, m_.weights.final_norm, s_.classified, {&m_.weights.classifier});
  multiply(Role::classifier, m_.weights.classifier, Epilogue::store, s_.logits);
  exchange({products(m_.weights.classifier, s_.logits, row_stride(c.vocab_size))}, true);
  if (split_.rank() > 0) return;
  if (c.logit_cap > 0) {
    each_row(
        call(Role::cap, jit::CapKey{c.vocab_size, c.logit_cap}, jit::CapArgs{s_.logits, 0, c.vocab_size}),
        members({{offsetof(jit::CapArgs, x), row_stride(c.vocab_size) * kFloat}}));
  }
  each_row(
      call(Role::argmax, jit::ArgmaxKey{c.vocab_size}, jit::ArgmaxArgs{s_.logits, s_.best, 0, c.vocab_size}),
      members({{offsetof(jit::ArgmaxArgs, x), row_stride(c.vocab_size) * kFloat},
               {offsetof(jit::ArgmaxArgs, best), sizeof(jit::Best)}}));
}

void RowsProgram::Writer::multiply(Role role, const PackedMatrix& matrix, Epilogue epilogue, float* out) {
  if (matrix.units() == 0) return;
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
  deal(call(role, jit::MatmulKey{matrix.format, matrix.rows, matrix.cols, epilogue, matrix.affine()},
            jit::MatmulArgs{matrix.data, values_, xq, s_.matmul_scratch[static_cast<std::size_t>(thread_)],
                            out, 0, 0, 1, matrix.scales, matrix.bias}),
       matrix, kPortion,
       {.count_at = offsetof(jit::MatmulArgs, n_tokens), .units_at = offsetof(jit::MatmulArgs, unit_begin)});
}

void RowsProgram::Writer::deal(Step& step, const PackedMatrix& matrix, std::int64_t portion,
                               const RowMembers& rows) {
  step.calls = Calls::units;
  step.rows = memory_.keep(rows);
  step.deal = memory_.deal(matrix, matrix.own.first, matrix.units(),
                           m_.threads > 1 ? portion : matrix.units(), m_.threads);
}

RowsProgram::RowsProgram(const Model& model, RowState& state, int tokens) {
  for (Program* program : {&feed, &classify, &final_norm})
    program->threads.resize(static_cast<std::size_t>(model.threads));
  for (int t = 0; t < model.threads; ++t) Writer(*this, model, state, tokens, t).write();
}

void RowsProgram::link() {
  feed.link();
  classify.link();
  final_norm.link();
  step_memory_.link();
}

}  // namespace llamajit
