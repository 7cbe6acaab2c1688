// Attention of the rows of a step.
#include <cstddef>

#include "jit/kernels/norm.h"
#include "jit/kernels/rope.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

void RowsProgram::Writer::attend(const LayerShape& shape, const LayerWeights& weights) {
  const HeadShare mine = heads(shape).of(thread_);
  const int dim = shape.head_dim();
  float* const q = s_.q + mine.begin * shape.group() * dim;
  float* const k = s_.k + mine.begin * dim;
  const Rotated queries{m_.rope.queries(layer_index()), q, shape.q_dim(), mine.begin * shape.group(),
                        mine.size() * shape.group()};
  const Rotated keys{m_.rope.keys(layer_index()), k, shape.kv_dim(), mine.begin, mine.size()};
  if (mine.size() == 0) return;  // nor have the rank's other threads any
  rotate({Role::q_norm, Role::rotate_q}, shape, mine, weights.q_norm, queries);
  if (shape.owns_kv()) {
    rotate({Role::k_norm, Role::rotate_k}, shape, mine, weights.k_norm, keys);
    norm_values(shape, mine, weights);
    append(shape, mine, k, shape.is_latent() ? k : s_.v + mine.begin * dim);
  }
  if (heads(shape).shares_heads()) meet();
  attention(shape, mine, q, s_.att + mine.begin * shape.group() * dim,
            head_sinks(weights, mine.begin * shape.group()),
            head_slopes(weights, mine.begin * shape.group()));
  if (shape.is_latent()) return raise_values(shape, weights);
  if (!shape.gated_attention) return;
  if (heads(shape).shares_heads()) meet();
  Step& step = gate(jit::GateKind::sigmoid, shape.q_dim(), mine.begin * shape.group() * dim,
                    mine.size() * shape.group() * dim);
  step.part = mine.part;
  step.parts = mine.parts;
}

void RowsProgram::Writer::rotate(NormRoles roles, const LayerShape& shape, const HeadShare& mine,
                                 const NormWeights& norm, const Rotated& of) {
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
  if (shape.rope.changes_nothing()) return;
  row_range(call(roles.second, jit::RopeKey{shape.head_dim()},
                 jit::RopeArgs{x, x, of.table, cursor(), n_heads, 1, stride}),
            mine,
            members({{offsetof(jit::RopeArgs, x), stride * kFloat},
                     {offsetof(jit::RopeArgs, out), stride * kFloat},
                     kCursor<jit::RopeArgs>}),
            offsetof(jit::RopeArgs, n_tokens));
}

void RowsProgram::Writer::norm_values(const LayerShape& shape, const HeadShare& mine,
                                      const LayerWeights& weights) {
  if (weights.v_norm == nullptr) return;
  const std::int64_t stride = row_stride(shape.kv_dim()) * kFloat;
  float* const v = s_.v + mine.begin * shape.head_dim();
  Step& step =
      call(Role::v_norm, head_norm(shape), jit::NormArgs{v, weights.v_norm, v, nullptr, mine.size()});
  each_row(step, members({{offsetof(jit::NormArgs, x), stride}, {offsetof(jit::NormArgs, out), stride}}));
  step.part = mine.part;
  step.parts = mine.parts;
}

void RowsProgram::Writer::append(const LayerShape& shape, const HeadShare& mine, const float* k,
                                 const float* v) {
  const std::int64_t stride = row_stride(shape.kv_dim());
  row_range(call(Role::append, m_.cache.append_key(layer_index()),
                 jit::KvAppendArgs{k, v, cursor(), m_.cache.keys_at(layer_index(), mine.begin),
                                   m_.cache.values_at(layer_index(), mine.begin), mine.size(), 1, stride}),
            mine,
            members({{offsetof(jit::KvAppendArgs, k), stride * kFloat},
                     {offsetof(jit::KvAppendArgs, v), stride * kFloat},
                     kCursor<jit::KvAppendArgs>}),
            offsetof(jit::KvAppendArgs, n_tokens));
}

void RowsProgram::Writer::attention(const LayerShape& shape, const HeadShare& mine, const float* q,
                                    float* out, const float* sinks, const float* slopes) {
  const jit::KvLayout& layout = m_.cache.layout(layer_index());
  const std::int64_t stride = row_stride(shape.q_dim());
  const jit::AttentionKey tile = m_.cache.tile_key(layer_index(), stride);
  Step& step =
      call(Role::attention, m_.cache.attention_key(layer_index()),
           jit::AttentionArgs{q, out, s_.attention_scratch[static_cast<std::size_t>(thread_)],
                              attention_cursor(), m_.cache.keys_at(layer_index(), mine.begin),
                              m_.cache.values_at(layer_index(), mine.begin), mine.size(), sinks, slopes});
  step.calls = Calls::attention;
  step.heads = memory_.keep_heads({.share = mine,
                                   .row_stride = stride,
                                   .head_stride = std::int64_t{shape.group()} * shape.head_dim(),
                                   .group = shape.group(),
                                   .keys_bytes = layout.keys_bytes(),
                                   .values_bytes = layout.values_bytes(),
                                   .tile = {&m_.code.get(tile).info()},
                                   .tile_rows = tile.tokens});
}

}  // namespace llamajit
