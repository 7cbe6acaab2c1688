// What all matvecs have in common: the walk over tiles and the epilogue.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <fmt/format.h>

#include "jit/emit/emitter.h"
#include "jit/formats/packing.h"
#include "jit/kernels/matvec.h"

namespace llamajit::jit {

// Tiles are read side by side, as many as the Key says: more share each broadcast of x, fewer are fewer
// streams of memory. What is faster depends on where the weights lie (docs/performance.md).
class MatvecFrame {
 public:
  MatvecFrame(Emitter& emitter, const MatvecKey& matvec_key) : e(emitter), key(matvec_key) {}
  virtual ~MatvecFrame() = default;
  MatvecFrame(const MatvecFrame&) = delete;
  MatvecFrame& operator=(const MatvecFrame&) = delete;

  void generate();

 protected:
  static constexpr auto kXq = offsetof(MatvecArgs, xq);

  // The sums of the tiles at w. Moves w past the first of them.
  virtual void sum(std::span<const V16> sums) = 0;

  int tiles_per_unit() const { return is_gated(key.epilogue) ? 2 : 1; }

  Emitter& e;
  const MatvecKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const CodesLayout layout{key.format};
  const Subnumbers numbers = layout.numbers_of_x();
  const Reg64 w = e.gpr("w");

 private:
  // The 256-bit tiers have registers for one tile's sums.
  int streams() const { return e.isa().wide() ? key.streams : 1; }
  int units_at_once() const { return std::max(1, streams() / tiles_per_unit()); }
  void emit_units(int n_units, int rows);
  void finish(const V16* sums, int offset, int rows);

  const Reg64 out = e.gpr("out"), units = e.gpr("units");

 protected:
  const Reg64 x = e.gpr("x"), count = e.gpr("count");
  // For codes.
  const Reg64 groups = e.gpr("groups"), x_scales = e.gpr("x_scales");
  const Reg64 x_numbers = e.gpr(fmt::format("x_{}", numbers.name));
};

// Matrices of codes.
void generate_coded_matvec(Emitter& e, const MatvecKey& key);

}  // namespace llamajit::jit
