// What is latent of a single token's attention.
#include <array>

#include "jit/kernels/copy.h"
#include "jit/kernels/norm.h"
#include "runtime/forward/token_writer.h"

namespace llamajit {

using jit::Epilogue;

void TokenProgram::Writer::project_latent(const LayerShape& shape, const LayerWeights& w) {
  const LatentAttention& latent = shape.latent;
  const Product queries{Role::q, w.wq, s_.queries}, low{Role::q_down, w.latent.q_down, s_.low};
  const bool in_two = latent.query_rank > 0;
  multiply_together(
      std::array{in_two ? low : queries, Product{Role::k, w.wk, s_.k}, Product{Role::v, w.wv, s_.v}});
  meet();
  if (in_two) {
    call(Role::q_down_norm, jit::NormKey{latent.query_rank, shape.norm_eps},
         jit::NormArgs{s_.low, w.latent.q_down_norm, scratch_.norm});
    input_ = {scratch_.norm, latent.query_rank, {}};
    matvec_dealt(Role::q, w.wq, Epilogue::store, s_.queries);
    meet();
  }
  const auto [begin, end] = share(shape.n_heads);
  for (std::int64_t head = begin; head < end; ++head) {
    const float* const from = s_.queries + head * shape.query_size();
    float* const to = s_.q + head * shape.head_dim();
    call(Role::place, jit::CopyKey{shape.rope.dims}, jit::CopyArgs{from + latent.key_dim, to});
    multiply_head(Role::absorb, w.latent.absorb, head, from, to + shape.rope.dims);
  }
  meet();
}

void TokenProgram::Writer::raise_values(const LayerShape& shape, const LayerWeights& w) {
  // Who merges a head's parts is who raises its values.
  if (!attends_in_parts(m_, shape)) meet();
  const auto [begin, end] = share(shape.n_heads);
  for (std::int64_t head = begin; head < end; ++head) {
    multiply_head(Role::raise, w.latent.raise, head, s_.att + head * shape.head_dim() + shape.rope.dims,
                  s_.values + head * shape.latent.value_dim);
  }
}

void TokenProgram::Writer::multiply_head(Role role, const PackedMatrix& heads, std::int64_t head,
                                         const float* x, float* out) {
  call(role, matvec_key(heads, Epilogue::store),
       jit::MatvecArgs{heads.data + head * heads.copy_stride, x, {}, out, 0, heads.units()});
}

}  // namespace llamajit
