// Experts of the rows of a step.
#include <cstddef>

#include "jit/kernels/copy.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/mix.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/route.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

void RowsProgram::Writer::experts_hidden(const LayerShape& shape, const LayerWeights& w) {
  if (shape.norms_experts) {
    multiply(Role::shared_gate_up, w.shared_gate_up, shape.activation, s_.hidden);
    meet();
    norm(Role::router_norm, shape, w.router_norm, {&w.router});
  }
  multiply(Role::router, w.router, Epilogue::store, s_.router);
  if (w.shared_router.exists()) {
    multiply(Role::shared_router, w.shared_router, Epilogue::store, s_.shared_router);
  }
  meet();
  route(shape, w);
  if (shape.norms_experts) {
    norm_rows(Role::expert_norm, post_norm_key(shape, false), {s_.x, w.expert_norm.weight, s_.norm});
  } else if (w.shared_gate_up.exists()) {
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

void RowsProgram::Writer::add_experts(const LayerShape& shape, const LayerWeights& w) {
  gather(Role::quantize, w.down, s_.expert_hidden, s_.expert_hidden, false);
  if (w.shared_down.exists()) prepare(s_.hidden, shape.shared_hidden_dim, {&w.shared_down});
  meet();
  multiply_chosen(Role::down, shape, w.down, Epilogue::store, s_.expert_hidden, s_.expert_results);
  const std::int64_t stride = row_stride(shape.dim);
  std::vector<Spread> results{products(w.down, s_.expert_results, stride, table_)};
  if (w.shared_down.exists()) {
    multiply(Role::shared_down, w.shared_down, Epilogue::store, s_.branch);
    results.push_back(products(w.shared_down, s_.branch, stride));
  }
  meet_and_gather(std::move(results));
  const int slots = shape.route.slots();
  const bool norms = shape.norms_experts;
  each_row(call(Role::mix, jit::MixKey{shape.dim, slots, !norms},
                jit::MixArgs{table_->results(), s_.weights, norms ? s_.norm : s_.x, 0, shape.dim}),
           members({{offsetof(jit::MixArgs, x), slots * std::int64_t{sizeof(const float*)}},
                    {offsetof(jit::MixArgs, weights), slots * kFloat},
                    {offsetof(jit::MixArgs, out), row_stride(shape.dim) * kFloat}}));
  if (norms) {
    float* const both = s_.branch;
    norm_rows(Role::shared_post_norm, post_norm_key(shape, false), {both, w.shared_post_norm.weight, both});
    norm_rows(Role::expert_post_norm, post_norm_key(shape, true), {s_.norm, w.expert_post_norm.weight, both});
    norm_rows(Role::ffn_post_norm, post_norm_key(shape, true), {both, w.ffn_post_norm.weight, s_.x});
  }
  meet();
}

void RowsProgram::Writer::route(const LayerShape& shape, const LayerWeights& w) {
  const jit::RouteKey key = route_key(shape);
  each_row(call(Role::route, key,
                jit::RouteArgs{s_.router, w.router_choice, s_.shared_router, s_.ids, s_.weights,
                               s_.route_scratch[static_cast<std::size_t>(thread_)], w.expert_scales}),
           members({{offsetof(jit::RouteArgs, logits), row_stride(key.experts) * kFloat},
                    {offsetof(jit::RouteArgs, shared_logit), row_stride(1) * kFloat},
                    {offsetof(jit::RouteArgs, ids), key.used * kFloat},
                    {offsetof(jit::RouteArgs, weights), key.slots() * kFloat}}));
}

void RowsProgram::Writer::gather(Role role, const PackedMatrix& matrix, const float* x, float* to,
                                 bool gathers) {
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

void RowsProgram::Writer::multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix,
                                          Epilogue epilogue, const float* x, float* out) {
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
  product.many = {&m_.code.get(jit::MatmulKey{key.format, key.rows, key.cols, epilogue, key.affine}).info()};
  product.many_args = {matrix.data, x,          xq, s_.matmul_scratch[static_cast<std::size_t>(thread_)],
                       out,         0,          0,  1,
                       nullptr,     matrix.bias};
  for (std::size_t i = 1; i < ExpertProduct::kCounts.size(); ++i) {
    key.tokens = ExpertProduct::kCounts[i];
    product.few[i] = {&m_.code.get(key).info()};
  }
  key.tokens = 1;
  constexpr std::int64_t kPortion = 3;
  experts_call(role, matrix, m_.tuning.choose(key, m_.code.isa()),
               {matrix.data, x, xq, out, 0, 0, nullptr, matrix.bias}, product, table_,
               ExpertTable::most_chosen(shape.route, s_.rows), kPortion);
}

}  // namespace llamajit
