#include "jit/kernels/matmul_frame.h"

#include <algorithm>

#include "jit/kernels/epilogue_emitter.h"
#include "jit/kernels/unit_range.h"
#include "jit/kernels/unpacker.h"

namespace llamajit::jit {

void MatmulFrame::generate() {
  e.enter(stack_bytes());
  over_units<MatmulArgs>(e, {w, out, units}, key.rows, unit_bytes(), tiles_at_once(),
                         [&](int n_units, int rows) { emit_row_block(n_units, rows); });
  e.leave();
}

// Multiplies all tokens with `n_units` units at w, storing `rows` of each; then moves w and out past them.
void MatmulFrame::emit_row_block(int n_units, int rows) {
  const int n_tiles = n_units * tiles_per_unit();
  begin_rows(n_tiles);
  e.note("all tokens, {} at a time", most_tokens);
  e.xor_(token, token);
  e.lea(ahead, e.ptr[w + n_units * unit_bytes()]);
  e.mov(at_out, out);
  over_tokens([&](int n_tokens) {
    tokens_at_once = n_tokens;
    emit_token_block(n_units, rows);
  });
  e.add(w, n_units * unit_bytes());
  e.add(out, n_units * kLanes * 4);
}

void MatmulFrame::emit_token_block(int n_units, int rows) {
  const int n_tiles = n_units * tiles_per_unit();
  for (int first = 0; first < n_tiles; first += tiles_at_once()) {
    sum(first, std::min(tiles_at_once(), n_tiles - first));
  }
  if (key.affine.bias) emit_bias_address<MatmulArgs>(e, at_x, out);
  for (int unit = 0; unit < n_units; ++unit) {
    for (int t = 0; t < tokens_at_once; ++t) finish(unit, t, rows);
  }
  if (key.affine.bias) e.name(at_x, "at_x");
  e.add(at_out, tokens_at_once * out_stride());
  e.add(token, tokens_at_once);
}

void MatmulFrame::over_tokens(const TokenBlock& block) {
  Xbyak::Label next;
  e.L(next, "tokens");
  block(most_tokens);
  if (most_tokens < kTokenBlock) {  // blocks are always finished
    e.test(token, kTokenBlock - 1);
    e.jnz(next, Emitter::T_NEAR);
  }
  e.cmp(token, e.ptr[e.args() + offsetof(MatmulArgs, n_tokens)]);
  e.jl(next, Emitter::T_NEAR);
}

void MatmulFrame::prefetch(int bytes_done) {
  constexpr int kCacheLine = 64;
  constexpr int kPrefetchedOver = 96;  // tokens, of the 128 at least of a chunk
  const auto lines =
      static_cast<int>(divide_up(std::int64_t{bytes_done} * tokens_at_once, kCacheLine * kPrefetchedOver));
  e.note("the next rows, into the second-level cache");
  for (int i = 0; i < lines; ++i) e.prefetcht1(e.ptr[ahead + i * kCacheLine]);
  e.add(ahead, lines * kCacheLine);
}

void MatmulFrame::token_pointer(const Reg64& to, std::size_t offset, int stride) {
  e.imul(to, token, stride);
  e.add(to, e.ptr[e.args() + offset]);
}

void CodesFrame::point_at_tokens() {
  constexpr auto kXq = offsetof(MatmulArgs, xq);
  token_pointer(at_x, kXq + offsetof(QuantizedArgs, codes), x_stride());
  token_pointer(x_scales, kXq + offsetof(QuantizedArgs, scales), scales_stride());
  if (codes.zero > 0 || codes.sums_inputs()) token_pointer(x_numbers, kXq + numbers.at, numbers_stride());
}

void CodesFrame::point_at_scratch(int tile_index, std::int64_t bytes) {
  e.mov(at_w, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
  e.advance(at_w, tile_index * bytes);
}

void PlainFrame::begin_rows(int n_tiles) {
  if (plain.is_packed) return;
  e.mov(at_w, w);
  e.mov(at_x, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
  emit_plain_tiles(e, key.format, n_tiles, key.cols, {at_w, at_x, count, groups});
}

void PlainFrame::point_at_tile(int tile_index) {
  if (plain.is_packed) {
    e.lea(at_w, e.ptr[w + tile_index * plain_tile()]);
  } else {
    point_at_scratch(tile_index, plain_tile());
  }
}

ElementType PlainFrame::number_type() const {
  return plain.is_packed ? float_type(codes.floats) : ElementType::f32;
}

void MatmulFrame::finish(int unit, int t, int rows) {
  Emitter::VectorScope scope(e);
  const bool gated = is_gated(key.epilogue);
  const int first_tile = unit * tiles_per_unit();
  const V16 result = e.v16("result"), up = gated ? e.v16("up") : V16();
  e.note("epilogue: {} rows of token {} of the block", rows, t);
  e.load(result, scratch(first_tile, t));
  if (gated) e.load(up, scratch(first_tile + 1, t));
  if (key.affine.scale) emit_scales<MatmulArgs>(e, result, gated ? &up : nullptr);
  const int offset = unit * kLanes * 4;
  emit_epilogue(e, key.epilogue, key.affine.bias,
                {result, up, at_out + (t * out_stride() + offset), at_x + offset, rows, key.rows * 4});
}

}  // namespace llamajit::jit
