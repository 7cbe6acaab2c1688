#include "jit/kernels/matvec_frame.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "jit/kernels/epilogue_emitter.h"
#include "jit/kernels/unit_range.h"

namespace llamajit::jit {

void MatvecFrame::generate() {
  e.enter(stack_bytes());
  over_units<MatvecArgs>(e, {w, out, units}, key.rows, tiles_per_unit() * tile, units_at_once(),
                         [&](int n_units, int rows) {
                           one_token() ? emit_units(n_units, rows) : emit_units_of_tokens(n_units, rows);
                         });
  e.leave();
}

// Sums and finishes the units at w, storing `rows` of each; moves w and out past them.
void MatvecFrame::emit_units(int n_units, int rows) {
  Emitter::VectorScope scope(e);
  const int n_tiles = n_units * tiles_per_unit();
  const std::vector<V16> sums = e.v16s(n_tiles, "sums[tile]");
  for (int first = 0; first < n_tiles; first += streams()) {
    const int n = std::min(streams(), n_tiles - first);
    sum({std::span(sums).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)), 1});
    e.advance(w, (n - 1) * tile);
  }
  if (key.affine.bias) emit_bias_address<MatvecArgs>(e, x, out);
  for (int unit = 0; unit < n_units; ++unit) {
    finish(&sums[static_cast<std::size_t>(unit * tiles_per_unit())], unit * kLanes * 4, rows);
  }
  if (key.affine.bias) e.name(x, "x");
  e.add(out, n_units * kLanes * 4);
}

// Stores `rows` of the unit whose sums begin at `sums`, `offset` behind the first unit's.
void MatvecFrame::finish(const V16* sums, int offset, int rows) {
  e.note("epilogue: {} rows of the result", rows);
  const bool gated = is_gated(key.epilogue);
  if (key.affine.scale) emit_scales<MatvecArgs>(e, sums[0], gated ? &sums[1] : nullptr);
  emit_epilogue(e, key.epilogue, key.affine.bias,
                {sums[0], gated ? sums[1] : V16(), out + offset, x + offset, rows, key.rows * 4});
}

// --- several tokens
// -----------------------------------------------------------------------------------------------

void MatvecFrame::emit_units_of_tokens(int n_units, int rows) {
  const int n_tiles = n_units * tiles_per_unit();
  for (int first = 0; first < n_tiles; first += streams()) {
    const int n = std::min(streams(), n_tiles - first);
    sum_all_tokens(first, n);
    e.advance(w, std::int64_t{n} * tile);
  }
  if (key.affine.bias) emit_bias_address<MatvecArgs>(e, x, out);
  for (int unit = 0; unit < n_units; ++unit) {
    for (int t = 0; t < key.tokens; ++t) finish_token(unit, t, rows);
  }
  if (key.affine.bias) e.name(x, "x");
  e.add(out, n_units * kLanes * 4);
}

// Sums all tokens' products with `n` tiles at w, which stays there. Where the passes do not divide the tokens evenly, the last one sums
// some of them again.
void MatvecFrame::sum_all_tokens(int first_tile, int n) {
  const auto sum_parts = [&] {
    for (int part = 0; part < e.parts(); ++part) sum_to_stack(first_tile, n, part);
  };
  e.mov(sums_of_token, e.rsp);
  e.lea(next_tiles, e.ptr[w + n * tile]);
  if (passes() == 1) return sum_parts();
  const int last = key.tokens - tokens_at_once();
  Xbyak::Label next, done;
  e.note("all tokens, {} at a time", tokens_at_once());
  e.xor_(token, token);
  e.L(next, "tokens");
  sum_parts();
  e.cmp(token, last);
  e.jge(done, Emitter::T_NEAR);
  e.add(token, tokens_at_once());
  e.mov(e.scratch(), last);
  e.cmp(token, e.scratch());
  e.cmovg(token, e.scratch());
  e.imul(sums_of_token, token, kSumBytes);
  e.add(sums_of_token, e.rsp);
  e.jmp(next, Emitter::T_NEAR);
  e.L(done, "all_tokens_summed");
}

// Sums the products of the tokens from `token` on. On the 256-bit tiers one half of a tile goes after the other, so that twice
// the tokens share a weight.
void MatvecFrame::sum_to_stack(int first_tile, int n, int part) {
  Emitter::VectorScope scope(e);
  const std::vector<V16> all = e.part16s({n, tokens_at_once()}, "sums[tile][token]");
  const Sums sums{all, tokens_at_once(), part};
  sum(sums);
  e.advance(w, -std::int64_t{tile});
  constexpr int kPartBytes = 32;  // of a 256-bit register
  for (int i = 0; i < n; ++i) {
    for (int t = 0; t < sums.tokens; ++t) {
      e.store(sums_of_token + (sum_at(first_tile + i, t) + part * kPartBytes), all[sums.at(i, t)]);
    }
  }
}

void MatvecFrame::input_pointer(const Reg64& to, std::size_t offset, int stride) {
  if (passes() == 1) return e.mov(to, e.ptr[e.args() + offset]);
  e.imul(to, token, stride);
  e.add(to, e.ptr[e.args() + offset]);
}

// A matrix beyond the caches is fetched to the second level: the first would give up what it has for it, and has fewer places
// for lines that are on their way. One that may be in the second level already has nothing to gain there.
void MatvecFrame::prefetch_line(const RegExp& at) {
  is_large() ? e.prefetcht1(e.ptr[at]) : e.prefetcht0(e.ptr[at]);
}

void MatvecFrame::prefetch_next(int step, int steps, int bytes) {
  over_lines(step, steps, bytes, [&](int line) { prefetch_line(next_tiles + line); });
}

void MatvecFrame::prefetch_ahead(const RegExp& at, int step, int steps, int bytes) {
  constexpr std::int64_t kOfLarge = 16384, kLeast = 4096;
  // In a small matrix, not so far that most of it is behind the end.
  const std::int64_t ahead =
      is_large() ? kOfLarge : std::max(kLeast, round_up(matrix_bytes() / 32, kCacheLine));
  over_lines(step, steps, bytes, [&](int line) { prefetch_line(at + (static_cast<int>(ahead) + line)); });
}

void MatvecFrame::advance_next(int n_tiles, int bytes) {
  if (!one_token()) e.add(next_tiles, share_of_pass(n_tiles, bytes));
}

void MatvecFrame::finish_token(int unit, int t, int rows) {
  Emitter::VectorScope scope(e);
  const bool gated = is_gated(key.epilogue);
  const int first_tile = unit * tiles_per_unit();
  const V16 result = e.v16("result"), up = gated ? e.v16("up") : V16();
  e.note("epilogue: {} rows of token {}", rows, t);
  e.load(result, e.rsp + sum_at(first_tile, t));
  if (gated) e.load(up, e.rsp + sum_at(first_tile + 1, t));
  if (key.affine.scale) emit_scales<MatvecArgs>(e, result, gated ? &up : nullptr);
  const int offset = unit * kLanes * 4;
  emit_epilogue(e, key.epilogue, key.affine.bias,
                {result, up, out + (t * out_stride() + offset), x + offset, rows, key.rows * 4});
}

}  // namespace llamajit::jit
