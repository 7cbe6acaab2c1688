#include <algorithm>

#include "jit/formats/packing.h"
#include "jit/generators.h"
#include "jit/unit_range.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

constexpr int kF32Ways = 4;

// For each block of tiles, each block of tokens: one sum for each tile and token stays in a register (24 of
// the 32 that AVX-512 has: 3 tiles x 8 tokens), so that a step of 3 weight vectors and 8 broadcasts feeds 24
// multiplications. The tiles' weights are read from memory once, and again from the second-level cache for
// each block of tokens. Finished sums pass through a scratch on the stack, which lets the epilogue be the
// same for every shape of block.
class MatmulGenerator {
 public:
  MatmulGenerator(Emitter& emitter, const MatmulKey& matmul_key) : e(emitter), key(matmul_key) {}

  void generate() {
    e.enter(scratch_bytes());
    over_units<MatmulArgs>(e, {w, out, units}, key.rows, unit_bytes(), tiles_at_once(),
                           [&](int n_units, int rows) { emit_row_block(n_units, rows); });
    e.leave();
  }

 private:
  bool quantised() const { return key.format.kind == FormatKind::q8_0; }
  int tiles_per_unit() const { return key.epilogue == Epilogue::swiglu ? 2 : 1; }
  int unit_bytes() const { return tiles_per_unit() * tile; }
  int tiles_at_once() const { return e.isa().wide() ? 3 : 1; }
  // f32 keeps a sum for each tile and token in a register, q8_0 an integer and a float one.
  int tokens_at_once() const { return e.isa().wide() && !quantised() ? kTokenBlock : kTokenBlock / 2; }

  // Scratch: for each tile of a block and each token sixteen floats, for f32 a second time.
  int scratch_tiles() const { return tiles_at_once() * tiles_per_unit(); }
  int scratch_at(int tile_index, int t) const { return (tile_index * tokens_at_once() + t) * kLanes * 4; }
  int scratch_set() const { return scratch_at(scratch_tiles(), 0); }
  int scratch_bytes() const { return 2 * scratch_set(); }

  int x_stride() const { return static_cast<int>(row_stride(key.cols)) * 4; }
  int codes_stride() const {
    return static_cast<int>(row_stride(quantized_codes(key.cols, key.format.group)));
  }
  int scales_stride() const { return key.cols / key.format.group * 4; }
  int out_stride() const { return static_cast<int>(row_stride(key.rows)) * 4; }

  // All tokens for `n_units` units at w, storing `rows` of each; then moves w and out past them.
  void emit_row_block(int n_units, int rows) {
    const int n_tiles = n_units * tiles_per_unit();
    Xbyak::Label next;
    e.note("all tokens, {} at a time", tokens_at_once());
    e.xor_(token, token);
    e.lea(ahead, e.ptr[w + n_units * unit_bytes()]);
    e.mov(at_out, out);
    e.L(next, "tokens");
    for (int first = 0; first < n_tiles; first += tiles_at_once()) {
      const int n = std::min(tiles_at_once(), n_tiles - first);
      e.lea(at_w, e.ptr[w + first * tile]);
      if (!quantised()) {
        sum_f32(first, n);
        continue;
      }
      // On the 256-bit tiers one half of a tile after the other: twice the tokens then share the work of
      // making a weight ready.
      for (int part = 0; part < e.parts(); ++part) {
        if (part > 0) e.lea(at_w, e.ptr[w + first * tile]);
        sum_q8(first, n, part);
      }
    }
    for (int unit = 0; unit < n_units; ++unit) {
      for (int t = 0; t < tokens_at_once(); ++t) {
        finish(at_out + (t * out_stride() + unit * kLanes * 4), unit * tiles_per_unit(), t, rows);
      }
    }
    e.add(at_out, tokens_at_once() * out_stride());
    e.add(token, tokens_at_once());
    if (tokens_at_once() < kTokenBlock) {  // blocks are always finished
      e.test(token, kTokenBlock - 1);
      e.jnz(next, Emitter::T_NEAR);
    }
    e.cmp(token, e.ptr[e.args() + offsetof(MatmulArgs, n_tokens)]);
    e.jl(next, Emitter::T_NEAR);
    e.add(w, n_units * unit_bytes());
    e.add(out, n_units * kLanes * 4);
  }

  // While this block of rows is multiplied, the next one is fetched into the second-level cache, so much at
  // each call that it has come when kPrefetchedOver tokens are through.
  void prefetch(int bytes_done) {
    const int lines =
        static_cast<int>(divide_up(std::int64_t{bytes_done} * tokens_at_once(), 64 * kPrefetchedOver));
    e.note("the next rows, into the second-level cache");
    for (int i = 0; i < lines; ++i) e.prefetcht1(e.ptr[ahead + i * 64]);
    e.add(ahead, lines * 64);
  }

  // to = the argument at `offset` + token * stride
  void token_pointer(const Reg64& to, std::size_t offset, int stride) {
    e.imul(to, token, stride);
    e.add(to, e.ptr[e.args() + offset]);
  }

  // --- f32: one column a step; a pass over the columns for each of the 4 ways
  // ------------------------------------------
  void sum_f32(int first_tile, int n) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> sums = e.v16s({tokens_at_once(), n}, "sums[token][tile]");
    const std::vector<V16> weights = e.v16s(n, "weights[tile]");
    const V16 value = e.uniform16("x_k");
    const auto column = [&](int k) {
      e.note("a column: {} tiles of 16 rows, {} tokens", n, tokens_at_once());
      for (int i = 0; i < n; ++i)
        e.load(weights[static_cast<std::size_t>(i)], at_w + i * tile + k * kLanes * 4);
      for (int t = 0; t < tokens_at_once(); ++t) {
        e.broadcast(value, at_x + t * x_stride() + k * 4);
        for (int i = 0; i < n; ++i) {
          e.fma(sums[static_cast<std::size_t>(t * n + i)], value, weights[static_cast<std::size_t>(i)]);
        }
      }
    };
    constexpr int kUnroll = 4;  // columns of one way
    const int turn = kUnroll * kF32Ways;
    const int turns = key.cols / turn;
    for (int way = 0; way < kF32Ways; ++way) {
      e.note("tiles {} to {}: columns {}, {}, … (way {} of {})", first_tile, first_tile + n - 1, way,
             way + kF32Ways, way, kF32Ways);
      for (const V16& sum : sums) e.zero(sum);
      token_pointer(at_x, offsetof(MatmulArgs, x), x_stride());
      e.repeat(count, turns, [&] {
        for (int k = way; k < turn; k += kF32Ways) column(k);
        prefetch(n * kUnroll * kLanes * 4);
        e.add(at_x, turn * 4);
        e.add(at_w, turn * kLanes * 4);
      });
      for (int k = way; k < key.cols % turn; k += kF32Ways) column(k);
      e.sub(at_w, turns * turn * kLanes * 4);
      e.note("add the way to those that came before");
      for (int i = 0; i < n; ++i) {
        for (int t = 0; t < tokens_at_once(); ++t) {
          add_way(way, sums[static_cast<std::size_t>(t * n + i)], scratch_at(first_tile + i, t));
        }
      }
    }
  }

  // (a0+a1)+(a2+a3), as the ways come by: the first set of scratch holds a0 and then a0+a1, the second a2.
  void add_way(int way, const V16& sum, int at) {
    const RegExp first = e.rsp + at;
    const RegExp second = e.rsp + (scratch_set() + at);
    if (way == 1) e.add(sum, sum, first);
    if (way == 3) {
      e.add(sum, sum, second);
      e.add(sum, sum, first);
    }
    e.store(way == 2 ? second : first, sum);
  }

  // --- q8_0: four columns a step, a group at a time
  // ----------------------------------------------------------------------
  // `part` is the part of each tile's rows that one register holds.
  void sum_q8(int first_tile, int n, int part) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> isums = e.part16s({tokens_at_once(), n}, "isums[token][tile]");
    const std::vector<V16> sums = e.part16s({tokens_at_once(), n}, "sums[token][tile]");
    std::vector<Emitter::Weights4> codes;
    codes.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) codes.push_back(e.weights4(false, i, fmt::format("w4_tile{}", i)));
    const Emitter::Inputs4 x4 = e.inputs4("x4");
    const V16 temp = e.part16("temp");
    const int part_at = part * kPartBytes;
    const auto step = [&](int k4) {
      e.note("columns {} to {} of the group: {} tiles, {} tokens", 4 * k4, 4 * k4 + 3, n, tokens_at_once());
      for (int i = 0; i < n; ++i)
        e.load_weights4(codes[static_cast<std::size_t>(i)], at_w + i * tile + k4 * 4 * kLanes + part_at);
      for (int t = 0; t < tokens_at_once(); ++t) {
        e.broadcast_inputs4(x4, at_x + t * codes_stride() + k4 * 4);
        for (int i = 0; i < n; ++i)
          e.dot(isums[static_cast<std::size_t>(t * n + i)], codes[static_cast<std::size_t>(i)], x4, temp);
      }
    };
    constexpr auto kXq = offsetof(MatmulArgs, xq);
    token_pointer(at_x, kXq + offsetof(QuantizedArgs, codes), codes_stride());
    token_pointer(x_scales, kXq + offsetof(QuantizedArgs, scales), scales_stride());
    token_pointer(x_offsets, kXq + offsetof(QuantizedArgs, offsets), scales_stride());
    e.note("tiles {} to {}: sums over {} groups of {}", first_tile, first_tile + n - 1,
           key.cols / layout.group, layout.group);
    for (const V16& sum : sums) e.zero(sum);
    e.repeat(groups, key.cols / layout.group, [&] {
      for (int t = 0; t < tokens_at_once(); ++t) {
        for (int i = 0; i < n; ++i)
          e.start_dot(isums[static_cast<std::size_t>(t * n + i)], x_offsets + t * scales_stride());
      }
      const int steps = layout.padded / 4;
      const int looped = steps / kStraightSteps;
      e.repeat(count, looped, [&] {
        for (int k4 = 0; k4 < kStraightSteps; ++k4) step(k4);
        e.add(at_x, kStraightSteps * 4);
        e.add(at_w, kStraightSteps * 4 * kLanes);
      });
      const int rest = steps % kStraightSteps;
      for (int k4 = 0; k4 < rest; ++k4) step(k4);
      if (part == 0) prefetch(n * static_cast<int>(layout.group_bytes));
      e.note("the group's sums: sum += float(isum) * scale_w * scale_x");
      for (int i = 0; i < n; ++i)
        e.load(codes[static_cast<std::size_t>(i)].codes, at_w + i * tile + rest * 4 * kLanes + part_at);
      add_scaled(sums, isums, codes, x4.codes, temp);
      e.add(at_x, rest * 4);
      e.add(at_w, rest * 4 * kLanes + kLanes * 4);
      e.add(x_scales, 4);
      e.add(x_offsets, 4);
    });
    for (int i = 0; i < n; ++i) {
      for (int t = 0; t < tokens_at_once(); ++t) {
        e.store(e.rsp + scratch_at(first_tile + i, t) + part_at, sums[static_cast<std::size_t>(t * n + i)]);
      }
    }
  }

  // sum = fma(float(isum), scale_w * scale_x, sum); the weights' scales are in the place of their codes.
  void add_scaled(const std::vector<V16>& sums, const std::vector<V16>& isums,
                  const std::vector<Emitter::Weights4>& scales, const V16& x_scale, const V16& both_scales) {
    const int n = static_cast<int>(scales.size());
    for (int t = 0; t < tokens_at_once(); ++t) {
      e.broadcast(x_scale, x_scales + t * scales_stride());
      for (int i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(t * n + i);
        e.to_float(isums[at], isums[at]);
        e.mul(both_scales, scales[static_cast<std::size_t>(i)].codes, x_scale);
        e.fma(sums[at], isums[at], both_scales);
      }
    }
  }

  // --- epilogue
  // ------------------------------------------------------------------------------------------------------------
  void finish(const RegExp& to, int first_tile, int t, int rows) {
    Emitter::VectorScope scope(e);
    const V16 result = e.v16("result");
    e.note("epilogue: {} rows of token {} of the block", rows, t);
    e.load(result, e.rsp + scratch_at(first_tile, t));
    if (key.epilogue == Epilogue::add) {
      const V16 before = e.v16("before");
      e.load_tail(before, to, rows);
      e.add(result, before, result);
    } else if (key.epilogue == Epilogue::swiglu) {
      const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
      emit_silu(e, result, t0, t1, t2);
      e.mul(result, result, e.rsp + scratch_at(first_tile + 1, t));
    }
    e.store_tail(to, result, rows);
  }

  static constexpr int kStraightSteps = 16;
  static constexpr int kPartBytes = 32;       // of a 256-bit register
  static constexpr int kPrefetchedOver = 96;  // of a chunk's 128

  Emitter& e;
  const MatmulKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const Q8Layout layout{key.format};
  const Reg64 w = e.gpr("w"), out = e.gpr("out"), units = e.gpr("units"), token = e.gpr("token");
  const Reg64 at_w = e.gpr("at_w"), at_x = e.gpr("at_x"), at_out = e.gpr("at_out"), count = e.gpr("count");
  const Reg64 groups = e.gpr("groups"), x_scales = e.gpr("x_scales"), x_offsets = e.gpr("x_offsets");
  const Reg64 ahead = e.gpr("ahead");
};

}  // namespace

void generate(Emitter& e, const MatmulKey& key) {
  MatmulGenerator(e, key).generate();
}

}  // namespace llamajit::jit
