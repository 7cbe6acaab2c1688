// Attention of a single token.
#include <algorithm>
#include <array>
#include <utility>

#include "jit/kernels/gate.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/rope.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

void TokenProgram::Writer::project(const LayerShape& shape, const LayerWeights& w) {
  if (shape.is_latent()) return project_latent(shape, w);
  const std::array<Product, 4> products{{{Role::q, w.wq, s_.q},
                                         {Role::k, w.wk, s_.k},
                                         {Role::v, w.wv, s_.v},
                                         {Role::att_gate, w.att_gate, s_.gate}}};  // those that exist
  if (heads(shape).fits_tiles()) {
    for (const auto& [role, matrix, out] : products) {
      matvec(role, matrix, share(matrix), Epilogue::store, out);
    }
    if (norms_heads_together(shape, w.q_norm)) norm_heads_together(shape, w);
    return;
  }
  multiply_together(products);
  if (norms_heads_together(shape, w.q_norm)) return norm_heads_together(shape, w);
  meet();
}

void TokenProgram::Writer::multiply_together(std::span<const Product> products) {
  std::int64_t units = 0;
  for (const Product& product : products) units += product.matrix.units();
  const auto [begin, end] = share(units);
  std::int64_t first = 0;
  for (const auto& [role, matrix, out] : products) {
    const std::int64_t n = matrix.units();
    matvec(role, matrix,
           {matrix.own.first + std::clamp(begin - first, std::int64_t{0}, n),
            matrix.own.first + std::clamp(end - first, std::int64_t{0}, n)},
           Epilogue::store, out);
    first += n;
  }
}

void TokenProgram::Writer::attend(const LayerShape& shape, const LayerWeights& weights) {
  attends_in_parts(m_, shape) ? attend_in_parts(shape, weights) : attend_alone(shape, weights);
  if (shape.is_latent()) raise_values(shape, weights);
}

void TokenProgram::Writer::attend_alone(const LayerShape& shape, const LayerWeights& weights) {
  const HeadShare mine = heads(shape).of(thread_);
  if (mine.part > 0 || mine.size() == 0) return;
  const std::int64_t first_query = mine.begin * shape.group() * shape.head_dim();
  float* const q = s_.q + first_query;
  rotate_queries(shape, weights, mine, q, q);
  append(shape, weights, mine.begin, mine.size());
  call(Role::attention, m_.cache.attention_key(layer_index()),
       jit::AttentionArgs{q, s_.att + first_query, scratch_.attention, cursor(),
                          m_.cache.keys_at(layer_index(), mine.begin),
                          m_.cache.values_at(layer_index(), mine.begin), mine.size(),
                          head_sinks(weights, mine.begin * shape.group()),
                          head_slopes(weights, mine.begin * shape.group())});
  gate_heads(shape, mine.begin * shape.group(), mine.size() * shape.group());
}

void TokenProgram::Writer::attend_in_parts(const LayerShape& shape, const LayerWeights& weights) {
  const HeadShare mine = heads(shape).of(thread_);
  const std::int64_t first_query = mine.begin * shape.group();
  const std::int64_t records =  // of a query head
      jit::attention_ranges(m_.cache.context()) * jit::attention_record(shape.head_dim());
  rotate_queries(shape, weights, mine, s_.q + first_query * shape.head_dim(), scratch_.rotated);
  if (mine.part == 0) append(shape, weights, mine.begin, 1);
  call(Role::attention, m_.cache.ranges_key(layer_index()),
       jit::AttentionRangesArgs{scratch_.rotated, s_.records + first_query * records, scratch_.attention,
                                cursor(), m_.cache.keys_at(layer_index(), mine.begin),
                                m_.cache.values_at(layer_index(), mine.begin), mine.part, mine.parts});
  meet();
  // Query heads.
  const auto [first, behind] = heads(shape).own();
  auto [begin, end] = share((behind - first) * shape.group());
  begin += first * shape.group();
  end += first * shape.group();
  if (begin == end) return;
  call(Role::merge, m_.cache.merge_key(layer_index()),
       jit::AttentionMergeArgs{s_.records + begin * records, s_.att + begin * shape.head_dim(), cursor(),
                               end - begin, head_sinks(weights, begin)});
  gate_heads(shape, begin, end - begin);
}

void TokenProgram::Writer::gate_heads(const LayerShape& shape, std::int64_t first, std::int64_t n) {
  if (!shape.gated_attention) return;
  const auto values = static_cast<int>(n * shape.head_dim());
  float* const x = s_.att + first * shape.head_dim();
  call(Role::gate, jit::GateKey{values, jit::GateKind::sigmoid},
       jit::GateArgs{x, s_.gate + first * shape.head_dim(), x, 0, values});
}

void TokenProgram::Writer::norm_heads_together(const LayerShape& shape, const LayerWeights& w) {
  meet_and_gather({of_heads(shape, s_.q, shape.group() * shape.head_dim(), 0),
                   of_heads(shape, s_.k, shape.head_dim(), 0)});
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

void TokenProgram::Writer::rotate_queries(const LayerShape& shape, const LayerWeights& weights,
                                          const HeadShare& mine, const float* q, float* out) {
  const std::int64_t first = mine.begin * shape.group();
  rotate({Role::q_norm, Role::rotate_q}, shape, weights.q_norm, m_.rope.queries(layer_index()), q, out,
         {first, first + mine.size() * shape.group()});
}

void TokenProgram::Writer::rotate(NormRoles roles, const LayerShape& shape, const NormWeights& norm,
                                  const float* table, const float* x, float* out,
                                  std::pair<std::int64_t, std::int64_t> heads) {
  const std::int64_t n_heads = heads.second - heads.first;
  if (norms_each_head(shape, norm)) {
    call(roles.first, head_norm(shape),
         jit::NormArgs{x, head_weights(shape, norm, heads.first), out, norm.bias, n_heads});
    x = out;
  }
  if (shape.rope.changes_nothing() && x == out) return;
  call(roles.second, jit::RopeKey{shape.head_dim()}, jit::RopeArgs{x, out, table, cursor(), n_heads});
}

void TokenProgram::Writer::append(const LayerShape& shape, const LayerWeights& weights, std::int64_t first,
                                  std::int64_t n_heads) {
  float* const k = s_.k + first * shape.head_dim();
  if (!shape.owns_kv()) return;
  if (shape.is_latent()) {
    call(Role::latent_norm, jit::NormKey{shape.latent.rank, shape.norm_eps},
         jit::NormArgs{s_.v, weights.latent.norm, k + shape.rope.dims});
  }
  rotate({Role::k_norm, Role::rotate_k}, shape, weights.k_norm, m_.rope.keys(layer_index()), k, k,
         {first, first + n_heads});
  float* const v = shape.is_latent() ? k : s_.v + first * shape.head_dim();
  if (weights.v_norm != nullptr) {
    call(Role::v_norm, head_norm(shape), jit::NormArgs{v, weights.v_norm, v, nullptr, n_heads});
  }
  call(Role::append, m_.cache.append_key(layer_index()),
       jit::KvAppendArgs{k, v, cursor(), m_.cache.keys_at(layer_index(), first),
                         m_.cache.values_at(layer_index(), first), n_heads});
}

}  // namespace llamajit
