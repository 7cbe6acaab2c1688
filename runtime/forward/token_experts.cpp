// Experts of a single token.
#include <algorithm>
#include <utility>

#include "jit/kernels/mix.h"
#include "jit/kernels/route.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

void TokenProgram::Writer::experts_hidden(const LayerShape& shape, const LayerWeights& w) {
  if (shape.norms_experts) {
    matvec_dealt(Role::shared_gate_up, w.shared_gate_up, shape.activation, s_.shared_hidden);
    norm(Role::router_norm, shape, w.router_norm, {});
  }
  matvec(Role::router, w.router, share(w.router), Epilogue::store, s_.router);
  if (w.shared_router.exists()) {
    matvec(Role::shared_router, w.shared_router, share(1), Epilogue::store, s_.shared_router);
  }
  meet();
  call(Role::route, route_key(shape),
       jit::RouteArgs{s_.router, w.router_choice, s_.shared_router, scratch_.ids, scratch_.weights,
                      scratch_.route, w.expert_scales});
  table_ = memory_.keep_table(shape.route, 1,
                              {.ids = scratch_.ids,
                               .results = s_.expert_results,
                               .result_stride = shape.dim,
                               .shared_results = s_.shared_result});
  if (shape.norms_experts) norm(Role::expert_norm, shape, w.expert_norm, {});
  prepare(input_format(w.gate_up.format));
  multiply_chosen(Role::gate_up, shape, w.gate_up, shape.activation, {input_.x, scratch_.q},
                  {.out_stride = shape.hidden_dim}, s_.expert_hidden);
  steps_->back().sorts_table = true;
  if (w.shared_gate_up.exists() && !shape.norms_experts) {
    matvec_dealt(Role::shared_gate_up, w.shared_gate_up, shape.activation, s_.shared_hidden);
  }
}

void TokenProgram::Writer::add_experts(const LayerShape& shape, const LayerWeights& w) {
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
  multiply_chosen(Role::down, shape, w.down, Epilogue::store, {s_.expert_hidden, scratch_.expert_q}, product,
                  s_.expert_results);
  if (w.shared_down.exists()) {
    input_ = {s_.shared_hidden, shape.shared_hidden_dim, {}};
    matvec_dealt(Role::shared_down, w.shared_down, Epilogue::store, s_.shared_result);
  }
  std::vector<Spread> results{products(w.down, s_.expert_results, shape.dim, table_)};
  if (w.shared_down.exists()) results.push_back(products(w.shared_down, s_.shared_result, 0));
  meet_and_gather(std::move(results));
  const auto [begin, end] = share(jit::divide_up(shape.dim, jit::kLanes));
  const bool norms = shape.norms_experts;
  if (begin < end) {
    call(Role::mix, jit::MixKey{shape.dim, shape.route.slots(), !norms},
         jit::MixArgs{table_->results(), scratch_.weights, norms ? s_.branch : s_.x, begin * jit::kLanes,
                      std::min<std::int64_t>(end * jit::kLanes, shape.dim)});
  }
  meet();
  if (!norms) return;
  if (thread_ == 0) {
    float* const both = s_.shared_result;
    call(Role::shared_post_norm, post_norm_key(shape, false),
         jit::NormArgs{both, w.shared_post_norm.weight, both});
    call(Role::expert_post_norm, post_norm_key(shape, true),
         jit::NormArgs{s_.branch, w.expert_post_norm.weight, both});
    call(Role::ffn_post_norm, post_norm_key(shape, true), jit::NormArgs{both, w.ffn_post_norm.weight, s_.x});
  }
  meet();
}

void TokenProgram::Writer::multiply_chosen(Role role, const LayerShape& shape, const PackedMatrix& matrix,
                                           Epilogue epilogue, const ProductInput& input,
                                           const ExpertProduct& product, float* out) {
  const bool prepared = input_format(matrix.format).has_value();
  experts_call(role, matrix, matvec_key(matrix, epilogue),
               {matrix.data, prepared ? nullptr : input.x, prepared ? input.q : jit::QuantizedArgs{}, out, 0,
                0, nullptr, matrix.bias},
               product, table_, shape.route.used, dealt_portion(matrix));
}

}  // namespace llamajit
