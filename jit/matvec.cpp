#include <algorithm>
#include <span>

#include "jit/formats/packing.h"
#include "jit/generators.h"
#include "jit/unit_range.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

constexpr int kF32Ways = 4;

// One tile after the other, from its first byte to its last: memory is read as one stream, which its
// prefetchers like best. Four tiles at once would share each broadcast of x, but were slower where weights
// come from the third-level cache (docs/performance.md). Several sums a tile hide the latency.
class MatvecGenerator {
 public:
  MatvecGenerator(Emitter& emitter, const MatvecKey& matvec_key) : e(emitter), key(matvec_key) {}

  void generate() {
    e.enter();
    if (quantised()) e.broadcast(low_bytes, Const{0x00FF00FF});
    over_units<MatvecArgs>(e, {w, out, units}, key.rows, tiles_per_unit() * tile, 1,
                           [&](int /*n_units*/, int rows) { emit_unit(rows); });
    e.leave();
  }

 private:
  bool quantised() const { return key.format.kind == FormatKind::q8_0; }
  int tiles_per_unit() const { return key.epilogue == Epilogue::swiglu ? 2 : 1; }
  // Sums and finishes the unit at w, storing `rows` of it; moves w and out past it.
  void emit_unit(int rows) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> sums = e.v16s(tiles_per_unit());
    for (const V16& sum : sums) quantised() ? sum_q8(sum) : sum_f32(sum);
    finish(sums, rows);
    e.add(out, kLanes * 4);
  }

  // --- f32: one column a step, 4 ways
  // ------------------------------------------------------------------------------
  void sum_f32(const V16& sum) {
    Emitter::VectorScope scope(e);
    const V16 ways[kF32Ways] = {sum, e.v16(), e.v16(), e.v16()};
    const V16 value = e.uniform16();
    for (const V16& way : ways) e.zero(way);
    const auto column = [&](int k) {
      e.broadcast(value, x + k * 4);
      e.fma(ways[k % kF32Ways], value, w + k * kLanes * 4);
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
    e.add(ways[0], ways[0], ways[1]);
    e.add(ways[2], ways[2], ways[3]);
    e.add(ways[0], ways[0], ways[2]);
  }

  // --- q8_0: four columns a step, a group at a time
  // ----------------------------------------------------------------- Integer sums are exact in any order, so
  // there are as many as the registers allow.
  int integer_ways() const { return e.isa().wide() ? 4 : 2; }

  void sum_q8(const V16& sum) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> isums = e.v16s(integer_ways());
    const Emitter::Bytes4 x4 = e.bytes4();
    const V16 codes = e.v16();
    const V16 temp = e.isa().has_dot() ? codes : e.v16();
    const auto step = [&](int k4) {
      e.broadcast_bytes4(x4, x + k4 * 4);
      e.load(codes, w + k4 * 4 * kLanes);
      e.dot_u8s8(isums[static_cast<std::size_t>(k4 % integer_ways())], codes, x4, temp, low_bytes);
    };
    constexpr auto kXq = offsetof(MatvecArgs, xq);
    e.mov(x, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, codes)]);
    e.mov(x_scales, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, scales)]);
    e.mov(x_offsets, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, offsets)]);
    e.zero(sum);
    e.repeat(groups, key.cols / layout.group, [&] {
      e.broadcast(isums[0], x_offsets);
      for (int way = 1; way < integer_ways(); ++way) e.zero(isums[static_cast<std::size_t>(way)]);
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
      add_scaled(sum, isums, x4.even, codes);
      e.add(w, kLanes * 4);
      e.add(x_scales, 4);
      e.add(x_offsets, 4);
    });
  }

  // sum = fma(float(all isums), scale_w * scale_x, sum); the weights' scales are at w.
  void add_scaled(const V16& sum, const std::vector<V16>& isums, const V16& x_scale, const V16& scale) {
    for (std::size_t step = 1; step < isums.size(); step *= 2) {
      for (std::size_t i = 0; i < isums.size(); i += 2 * step) e.add_i32(isums[i], isums[i], isums[i + step]);
    }
    e.broadcast(x_scale, x_scales);
    e.mul(scale, x_scale, w);
    e.to_float(isums[0], isums[0]);
    e.fma(sum, isums[0], scale);
  }

  // --- epilogue
  // -----------------------------------------------------------------------------------------------------
  void finish(const std::vector<V16>& sums, int rows) {
    Emitter::VectorScope scope(e);
    const V16& result = sums[0];
    if (key.epilogue == Epilogue::add) {
      const V16 before = e.v16();
      e.load_tail(before, out, rows);
      e.add(result, before, result);
    } else if (key.epilogue == Epilogue::swiglu) {
      const V16 t0 = e.v16(), t1 = e.v16(), t2 = e.v16();
      emit_silu(e, result, t0, t1, t2);
      e.mul(result, result, sums[1]);
    }
    e.store_tail(out, result, rows);
  }

  static constexpr int kStraightSteps = 32;

  Emitter& e;
  const MatvecKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const Q8Layout layout{key.format};
  const Reg64 w = e.gpr(), out = e.gpr(), units = e.gpr(), x = e.gpr(), count = e.gpr();
  const Reg64 groups = e.gpr(), x_scales = e.gpr(), x_offsets = e.gpr();
  const V16 low_bytes = e.uniform16();
};

}  // namespace

void generate(Emitter& e, const MatvecKey& key) {
  MatvecGenerator(e, key).generate();
}

}  // namespace llamajit::jit
