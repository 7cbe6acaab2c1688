#include <algorithm>
#include <span>

#include "jit/formats/packing.h"
#include "jit/generators.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

constexpr int kF32Ways = 4;

// The matrix is walked in blocks of units, whose tiles are summed side by side: that shares each broadcast of
// x and keeps enough sums in flight to hide the latency of fma. Which tiles share a block never changes a
// result.
class MatvecGenerator {
 public:
  MatvecGenerator(Emitter& emitter, const MatvecKey& matvec_key) : e(emitter), key(matvec_key) {}

  void generate() {
    e.enter();
    const int block = std::max(1, tiles_at_once() / tiles_per_unit());
    const int full_units = key.rows / kLanes;
    const int tail_rows = key.rows % kLanes;
    load_args(full_units);
    e.while_at_least(units, block, [&] { emit_block(block, kLanes); });
    if (block > 1) {
      e.while_at_least(units, 1, [&] { emit_block(1, kLanes); });
    }
    if (tail_rows != 0) {
      Xbyak::Label done;
      e.test(units, units);  // below zero where our range begins, empty, behind the last unit
      e.jnz(done, Emitter::T_NEAR);
      e.cmp(e.qword[e.args() + offsetof(MatvecArgs, unit_end)], full_units);
      e.jle(done, Emitter::T_NEAR);
      emit_block(1, tail_rows);
      e.L(done);
    }
    e.leave();
  }

 private:
  bool quantised() const { return key.format.kind == FormatKind::q8_0; }
  int tiles_per_unit() const { return key.epilogue == Epilogue::swiglu ? 2 : 1; }
  int unit_bytes() const { return tiles_per_unit() * tile; }
  // As many as the registers hold: a tile of f32 takes 4 sums, one of q8_0 an integer and a float sum.
  int tiles_at_once() const { return e.isa().wide() ? 4 : quantised() ? 2 : 1; }

  // units = the whole units of ours; the padded last unit, if it is ours, comes after them.
  void load_args(int full_units) {
    e.mov(units, e.ptr[e.args() + offsetof(MatvecArgs, unit_end)]);
    e.mov(e.scratch(), full_units);
    e.cmp(units, e.scratch());
    e.cmovg(units, e.scratch());
    e.mov(w, e.ptr[e.args() + offsetof(MatvecArgs, unit_begin)]);
    e.sub(units, w);
    e.mov(out, w);
    e.shl(out, 6);  // a unit is sixteen floats of the result
    e.add(out, e.ptr[e.args() + offsetof(MatvecArgs, out)]);
    e.imul(w, w, unit_bytes());
    e.add(w, e.ptr[e.args() + offsetof(MatvecArgs, w)]);
    if (quantised()) e.broadcast(low_bytes, Const{0x00FF00FF});
  }

  // Sums and finishes `n_units` units at w, storing `rows` of each; then moves w and out past them.
  void emit_block(int n_units, int rows) {
    Emitter::VectorScope scope(e);
    const int n_tiles = n_units * tiles_per_unit();
    const std::vector<V16> sums = e.v16s(n_tiles);
    for (int first = 0; first < n_tiles; first += tiles_at_once()) {
      const int n = std::min(tiles_at_once(), n_tiles - first);
      e.lea(at_w, e.ptr[w + first * tile]);
      const std::span<const V16> tiles(sums.data() + first, static_cast<std::size_t>(n));
      quantised() ? sum_q8(tiles) : sum_f32(tiles);
    }
    for (int unit = 0; unit < n_units; ++unit) {
      const V16* sum = &sums[static_cast<std::size_t>(unit * tiles_per_unit())];
      finish(out + unit * kLanes * 4, sum, rows);
    }
    e.add(w, n_units * unit_bytes());
    e.add(out, n_units * kLanes * 4);
  }

  // --- f32: one column a step, 4 ways
  // ------------------------------------------------------------------------------
  void sum_f32(std::span<const V16> sums) {
    Emitter::VectorScope scope(e);
    std::vector<V16> ways[kF32Ways];
    ways[0].assign(sums.begin(), sums.end());
    for (int way = 1; way < kF32Ways; ++way) ways[way] = e.v16s(static_cast<int>(sums.size()));
    const V16 value = e.uniform16();
    for (const auto& way : ways) {
      for (const V16& sum : way) e.zero(sum);
    }
    const auto column = [&](int k) {
      e.broadcast(value, x + k * 4);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        e.fma(ways[k % kF32Ways][i], value, at_w + static_cast<int>(i) * tile + k * kLanes * 4);
      }
    };
    constexpr int kUnroll = 8;
    e.mov(x, e.ptr[e.args() + offsetof(MatvecArgs, x)]);
    e.repeat(count, key.cols / kUnroll, [&] {
      for (int k = 0; k < kUnroll; ++k) column(k);
      e.add(x, kUnroll * 4);
      e.add(at_w, kUnroll * kLanes * 4);
    });
    for (int k = 0; k < key.cols % kUnroll; ++k) column(k);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      e.add(ways[0][i], ways[0][i], ways[1][i]);
      e.add(ways[2][i], ways[2][i], ways[3][i]);
      e.add(ways[0][i], ways[0][i], ways[2][i]);
    }
  }

  // --- q8_0: four columns a step, a group at a time
  // -----------------------------------------------------------------
  void sum_q8(std::span<const V16> sums) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> isums = e.v16s(static_cast<int>(sums.size()));
    const Emitter::Bytes4 x4 = e.bytes4();
    const V16 codes = e.v16();
    const V16 temp = e.isa().has_dot() ? codes : e.v16();
    const auto step = [&](int k4) {
      e.broadcast_bytes4(x4, x + k4 * 4);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        e.load(codes, at_w + static_cast<int>(i) * tile + k4 * 4 * kLanes);
        e.dot_u8s8(isums[i], codes, x4, temp, low_bytes);
      }
    };
    constexpr auto kXq = offsetof(MatvecArgs, xq);
    e.mov(x, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, codes)]);
    e.mov(x_scales, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, scales)]);
    e.mov(x_offsets, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, offsets)]);
    for (const V16& sum : sums) e.zero(sum);
    e.repeat(groups, key.cols / layout.group, [&] {
      for (const V16& isum : isums) e.broadcast(isum, x_offsets);
      const int steps = layout.padded / 4;
      const int looped = steps > kStraightSteps ? steps / kStraightSteps : 0;
      e.repeat(count, looped, [&] {
        for (int k4 = 0; k4 < kStraightSteps; ++k4) step(k4);
        e.add(x, kStraightSteps * 4);
        e.add(at_w, kStraightSteps * 4 * kLanes);
      });
      const int rest = steps - looped * kStraightSteps;
      for (int k4 = 0; k4 < rest; ++k4) step(k4);
      add_scaled(sums, isums, rest * 4 * kLanes, x4.even, codes);
      e.add(x, rest * 4);
      e.add(at_w, rest * 4 * kLanes + kLanes * 4);
      e.add(x_scales, 4);
      e.add(x_offsets, 4);
    });
  }

  // sum = fma(float(isum), scale_w * scale_x, sum); the weights' scales lie `scales_at` bytes after at_w.
  void add_scaled(std::span<const V16> sums, std::span<const V16> isums, int scales_at, const V16& x_scale,
                  const V16& scale) {
    e.broadcast(x_scale, x_scales);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      e.mul(scale, x_scale, at_w + static_cast<int>(i) * tile + scales_at);
      e.to_float(isums[i], isums[i]);
      e.fma(sums[i], isums[i], scale);
    }
  }

  // --- epilogue
  // -----------------------------------------------------------------------------------------------------
  void finish(const RegExp& to, const V16* sum, int rows) {
    Emitter::VectorScope scope(e);
    const V16& result = sum[0];
    if (key.epilogue == Epilogue::add) {
      const V16 before = e.v16();
      e.load_tail(before, to, rows);
      e.add(result, before, result);
    } else if (key.epilogue == Epilogue::swiglu) {
      const V16 t0 = e.v16(), t1 = e.v16(), t2 = e.v16();
      emit_silu(e, result, t0, t1, t2);
      e.mul(result, result, sum[1]);
    }
    e.store_tail(to, result, rows);
  }

  static constexpr int kStraightSteps = 32;

  Emitter& e;
  const MatvecKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const Q8Layout layout{key.format};
  const Reg64 w = e.gpr(), out = e.gpr(), units = e.gpr(), x = e.gpr(), at_w = e.gpr(), count = e.gpr();
  const Reg64 groups = e.gpr(), x_scales = e.gpr(), x_offsets = e.gpr();
  const V16 low_bytes = e.uniform16();
};

}  // namespace

void generate(Emitter& e, const MatvecKey& key) {
  MatvecGenerator(e, key).generate();
}

}  // namespace llamajit::jit
