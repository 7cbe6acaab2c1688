#include "jit/kernels/matvec_frame.h"

#include <vector>

#include "jit/kernels/epilogue_emitter.h"
#include "jit/kernels/unit_range.h"

namespace llamajit::jit {

void MatvecFrame::generate() {
  e.enter();
  over_units<MatvecArgs>(e, {w, out, units}, key.rows, tiles_per_unit() * tile, units_at_once(),
                         [&](int n_units, int rows) { emit_units(n_units, rows); });
  e.leave();
}

// Sums and finishes the units at w, storing `rows` of each; moves w and out past them.
void MatvecFrame::emit_units(int n_units, int rows) {
  Emitter::VectorScope scope(e);
  const int n_tiles = n_units * tiles_per_unit();
  const std::vector<V16> sums = e.v16s(n_tiles, "sums[tile]");
  for (int first = 0; first < n_tiles; first += streams()) {
    const int n = std::min(streams(), n_tiles - first);
    sum(std::span(sums).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)));
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
                {sums[0], gated ? sums[1] : V16(), out + offset, x + offset, rows});
}

}  // namespace llamajit::jit
