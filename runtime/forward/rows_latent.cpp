// What is latent of the attention of a step's rows.
#include <cstddef>

#include "jit/kernels/copy.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/rows_writer.h"

namespace llamajit {

using jit::Epilogue;
using jit::row_stride;

void RowsProgram::Writer::project_latent(const LayerShape& shape, const LayerWeights& w) {
  const LatentAttention& latent = shape.latent;
  const bool in_two = latent.query_rank > 0;
  in_two ? multiply(Role::q_down, w.latent.q_down, Epilogue::store, s_.low)
         : multiply(Role::q, w.wq, Epilogue::store, s_.queries);
  multiply(Role::k, w.wk, Epilogue::store, s_.rotated_key);
  multiply(Role::v, w.wv, Epilogue::store, s_.v);
  meet();
  if (in_two) {
    norm_rows(Role::q_down_norm, {latent.query_rank, shape.norm_eps}, {s_.low, w.latent.q_down_norm, s_.low});
    prepare(s_.low, latent.query_rank, {&w.wq});
    meet();
    multiply(Role::q, w.wq, Epilogue::store, s_.queries);
    meet();
  }
  copy_rows({s_.rotated_key, shape.rope.dims}, {s_.k, shape.kv_dim()}, shape.rope.dims);
  each_row(call(Role::latent_norm, jit::NormKey{latent.rank, shape.norm_eps},
                jit::NormArgs{s_.v, w.latent.norm, s_.k + shape.rope.dims}),
           members({{offsetof(jit::NormArgs, x), row_stride(latent.rank) * kFloat},
                    {offsetof(jit::NormArgs, out), row_stride(shape.kv_dim()) * kFloat}}));
  const auto [begin, end] = share(shape.n_heads);
  for (std::int64_t head = begin; head < end; ++head) {
    float* const from = s_.queries + head * shape.query_size();
    float* const to = s_.q + head * shape.head_dim();
    copy_all_rows({from + latent.key_dim, shape.query_dim()}, {to, shape.q_dim()}, shape.rope.dims);
    multiply_head(Role::absorb, w.latent.absorb, head, {from, shape.query_dim()},
                  {to + shape.rope.dims, shape.q_dim()});
  }
  meet();
}

void RowsProgram::Writer::raise_values(const LayerShape& shape, const LayerWeights& w) {
  meet();
  const auto [begin, end] = share(shape.n_heads);
  for (std::int64_t head = begin; head < end; ++head) {
    multiply_head(Role::raise, w.latent.raise, head,
                  {s_.att + head * shape.head_dim() + shape.rope.dims, shape.q_dim()},
                  {s_.values + head * shape.latent.value_dim, shape.latent_values()});
  }
}

void RowsProgram::Writer::multiply_head(Role role, const PackedMatrix& heads, std::int64_t head,
                                        const RowsOf& from, const RowsOf& to) {
  float* const x = s_.head_in[static_cast<std::size_t>(thread_)];
  float* const out = s_.head_out[static_cast<std::size_t>(thread_)];
  const std::byte* const data = heads.data + head * heads.copy_stride;
  copy_all_rows(from, {x, heads.cols}, heads.cols);
  if (tokens_ > 0) {
    const jit::MatvecKey key{.format = heads.format,
                             .rows = heads.rows,
                             .cols = heads.cols,
                             .epilogue = Epilogue::store,
                             .tokens = tokens_};
    call(role, key, jit::MatvecArgs{data, x, {}, out, 0, heads.units()});
  } else {
    const jit::MatmulKey key{heads.format, heads.rows, heads.cols, Epilogue::store};
    row_range(
        call(
            role, key,
            jit::MatmulArgs{
                data, x, {}, s_.matmul_scratch[static_cast<std::size_t>(thread_)], out, 0, heads.units(), 1}),
        {0, 0, 0, 1}, {}, offsetof(jit::MatmulArgs, n_tokens));
  }
  copy_all_rows({out, heads.rows}, to, heads.rows);
}

Step& RowsProgram::Writer::copy(const RowsOf& from, const RowsOf& to, int n) {
  return call(Role::place, jit::CopyKey{n}, jit::CopyArgs{from.x, to.x});
}
RowMembers RowsProgram::Writer::copied(const RowsOf& from, const RowsOf& to) {
  return members({{offsetof(jit::CopyArgs, x), row_stride(from.n) * kFloat},
                  {offsetof(jit::CopyArgs, out), row_stride(to.n) * kFloat}});
}
void RowsProgram::Writer::copy_rows(const RowsOf& from, const RowsOf& to, int n) {
  each_row(copy(from, to, n), copied(from, to));
}
void RowsProgram::Writer::copy_all_rows(const RowsOf& from, const RowsOf& to, int n) {
  all_rows(copy(from, to, n), copied(from, to));
}

}  // namespace llamajit
