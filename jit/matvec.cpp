#include <algorithm>
#include <span>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/generators.h"
#include "jit/unit_range.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

constexpr int kF32Ways = 4;

// Tiles are read side by side, as many as the Key says: more share each broadcast of x, fewer are fewer
// streams of memory. What is faster depends on where the weights lie (docs/performance.md).
class MatvecGenerator {
 public:
  MatvecGenerator(Emitter& emitter, const MatvecKey& matvec_key) : e(emitter), key(matvec_key) {}

  void generate() {
    e.enter();
    over_units<MatvecArgs>(e, {w, out, units}, key.rows, unit_bytes(), units_at_once(),
                           [&](int n_units, int rows) { emit_units(n_units, rows); });
    e.leave();
  }

 private:
  bool quantised() const { return key.format.kind == FormatKind::q8_0; }
  int tiles_per_unit() const { return key.epilogue == Epilogue::swiglu ? 2 : 1; }
  int unit_bytes() const { return tiles_per_unit() * tile; }
  // The 256-bit tiers have registers for one tile's sums.
  int streams() const { return e.isa().wide() ? key.streams : 1; }
  int units_at_once() const { return std::max(1, streams() / tiles_per_unit()); }

  // Sums and finishes the units at w, storing `rows` of each; moves w and out past them.
  void emit_units(int n_units, int rows) {
    Emitter::VectorScope scope(e);
    const int n_tiles = n_units * tiles_per_unit();
    const std::vector<V16> sums = e.v16s(n_tiles, "sums[tile]");
    for (int first = 0; first < n_tiles; first += streams()) {
      const int n = std::min(streams(), n_tiles - first);
      const std::span<const V16> run =
          std::span(sums).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
      quantised() ? sum_q8(run) : sum_f32(run);
      e.add(w, (n - 1) * tile);
    }
    for (int unit = 0; unit < n_units; ++unit) {
      finish(&sums[static_cast<std::size_t>(unit * tiles_per_unit())], out + unit * kLanes * 4, rows);
    }
    e.add(out, n_units * kLanes * 4);
  }

  // --- f32: one column a step, 4 ways
  // ------------------------------------------------------------------------------
  // Moves w past the first tile.
  void sum_f32(std::span<const V16> sums) {
    Emitter::VectorScope scope(e);
    const int n = static_cast<int>(sums.size());
    std::vector<V16> ways(sums.begin(), sums.end());  // way 0, then the others
    for (const V16& more : e.v16s({kF32Ways - 1, n}, "more[way][tile]")) ways.push_back(more);
    const auto way = [&](int k, int i) -> const V16& {
      return ways[static_cast<std::size_t>(k % kF32Ways * n + i)];
    };
    const V16 value = e.uniform16("x_k");
    e.note("{} x 16 rows: sums over {} columns, {} ways", n, key.cols, kF32Ways);
    for (const V16& sum : ways) e.zero(sum);
    const auto column = [&](int k) {
      e.broadcast(value, x + k * 4);
      for (int i = 0; i < n; ++i) e.fma(way(k, i), value, w + i * tile + k * kLanes * 4);
    };
    constexpr int kUnroll = 16;
    e.mov(x, e.ptr[e.args() + offsetof(MatvecArgs, x)]);
    e.repeat(count, key.cols / kUnroll, [&] {
      for (int k = 0; k < kUnroll; ++k) column(k);
      e.add(x, kUnroll * 4);
      e.add(w, kUnroll * kLanes * 4);
    });
    const int rest = key.cols % kUnroll;
    for (int k = 0; k < rest; ++k) column(k);
    e.add(w, rest * kLanes * 4);
    e.note("the ways' sum");
    for (int i = 0; i < n; ++i) {
      e.add(way(0, i), way(0, i), way(1, i));
      e.add(way(2, i), way(2, i), way(3, i));
      e.add(way(0, i), way(0, i), way(2, i));
    }
  }

  // --- q8_0: four columns a step, a group at a time
  // ----------------------------------------------------------------- Integer sums are exact in any order, so
  // there are as many as hide the latency.
  int integer_ways(int n) const { return e.isa().wide() ? std::max(1, 4 / n) : 2; }

  // Moves w past the first tile.
  void sum_q8(std::span<const V16> sums) {
    Emitter::VectorScope scope(e);
    const int n = static_cast<int>(sums.size());
    const int n_ways = integer_ways(n);
    std::vector<std::vector<V16>> isums;  // of each tile
    isums.reserve(sums.size());
    for (int i = 0; i < n; ++i) isums.push_back(e.v16s(n_ways, fmt::format("isums{}[way]", i)));
    const Emitter::Inputs4 x4 = e.inputs4("x4");
    const Emitter::Weights4 w4 = e.weights4(true, 0, "w4");
    const V16 temp = e.isa().has_dot() ? w4.codes : e.v16("temp");
    const auto step = [&](int k4) {
      e.note("columns {} to {} of the group: 4 codes of x, 16 rows x 4 codes of W", 4 * k4, 4 * k4 + 3);
      e.broadcast_inputs4(x4, x + k4 * 4);
      for (int i = 0; i < n; ++i) {
        e.load_weights4(w4, w + i * tile + k4 * 4 * kLanes);
        e.dot(isums[static_cast<std::size_t>(i)][static_cast<std::size_t>(k4 % n_ways)], w4, x4, temp);
      }
    };
    constexpr auto kXq = offsetof(MatvecArgs, xq);
    e.mov(x, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, codes)]);
    e.mov(x_scales, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, scales)]);
    e.mov(x_offsets, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, offsets)]);
    e.note("{} x 16 rows: sums over {} groups of {}", n, key.cols / layout.group, layout.group);
    for (const V16& sum : sums) e.zero(sum);
    e.repeat(groups, key.cols / layout.group, [&] {
      for (const std::vector<V16>& ways : isums) {
        e.start_dot(ways[0], x_offsets);
        for (std::size_t way = 1; way < ways.size(); ++way) e.zero(ways[way]);
      }
      const int steps = layout.padded / 4;
      const int looped = steps / kStraightSteps;
      e.repeat(count, looped, [&] {
        for (int k4 = 0; k4 < kStraightSteps; ++k4) step(k4);
        e.add(x, kStraightSteps * 4);
        e.add(w, kStraightSteps * 4 * kLanes);
      });
      const int rest = steps % kStraightSteps;
      for (int k4 = 0; k4 < rest; ++k4) step(k4);
      e.add(x, rest * 4);
      e.add(w, rest * 4 * kLanes);
      e.note("the group's sum: sum += float(isum) * scale_w * scale_x");
      e.broadcast(x4.codes, x_scales);
      for (int i = 0; i < n; ++i) {
        add_scaled(sums[static_cast<std::size_t>(i)], isums[static_cast<std::size_t>(i)], x4.codes,
                   w + i * tile, w4.codes);
      }
      e.add(w, kLanes * 4);
      e.add(x_scales, 4);
      e.add(x_offsets, 4);
    });
  }

  // sum = fma(float(all isums), scale_w * scale_x, sum). Clobbers `isums` and `scale`.
  void add_scaled(const V16& sum, const std::vector<V16>& isums, const V16& x_scale, const RegExp& w_scales,
                  const V16& scale) {
    for (std::size_t step = 1; step < isums.size(); step *= 2) {
      for (std::size_t i = 0; i < isums.size(); i += 2 * step) e.add_i32(isums[i], isums[i], isums[i + step]);
    }
    e.mul(scale, x_scale, w_scales);
    e.to_float(isums[0], isums[0]);
    e.fma(sum, isums[0], scale);
  }

  // --- epilogue
  // -----------------------------------------------------------------------------------------------------
  // Stores `rows` of the unit whose sums begin at `sums`.
  void finish(const V16* sums, const RegExp& to, int rows) {
    Emitter::VectorScope scope(e);
    const V16& result = sums[0];
    e.note("epilogue: {} rows of the result", rows);
    if (key.epilogue == Epilogue::add) {
      const V16 before = e.v16("before");
      e.load_tail(before, to, rows);
      e.add(result, before, result);
    } else if (key.epilogue == Epilogue::swiglu) {
      const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
      emit_silu(e, result, t0, t1, t2);
      e.mul(result, result, sums[1]);
    }
    e.store_tail(to, result, rows);
  }

  static constexpr int kStraightSteps = 32;

  Emitter& e;
  const MatvecKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const Q8Layout layout{key.format};
  const Reg64 w = e.gpr("w"), out = e.gpr("out"), units = e.gpr("units"), x = e.gpr("x");
  const Reg64 count = e.gpr("count"), groups = e.gpr("groups");
  const Reg64 x_scales = e.gpr("x_scales"), x_offsets = e.gpr("x_offsets");
};

}  // namespace

void generate(Emitter& e, const MatvecKey& key) {
  MatvecGenerator(e, key).generate();
}

}  // namespace llamajit::jit
