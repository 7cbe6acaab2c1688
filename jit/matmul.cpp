#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "jit/epilogue.h"
#include "jit/float_step.h"
#include "jit/formats/packing.h"
#include "jit/formats/unpacker.h"
#include "jit/generators.h"
#include "jit/unit_range.h"

namespace llamajit::jit {
namespace {

constexpr int kFloatWays = 4;
constexpr int kTilesAtOnce = 3;

// What the multiplication walks: for each subgroup its codes, a byte each, then its scales and minima. int8
// and q8_0 are packed so; other codes are written so to scratch first, once for all tokens.
struct PlainLayout {
  explicit PlainLayout(const CodesLayout& codes)
      : is_packed(codes.bits == 8),
        steps(codes.subgroups() > 0 ? codes.steps() / codes.subgroups() : 0),
        min_at(scale_at() + kLanes * 4) {}
  int scale_at() const { return steps * 4 * kLanes; }
  int subgroup_bytes(const CodesLayout& codes) const {
    if (is_packed) return codes.group_bytes;
    return scale_at() + kLanes * 4 * (codes.sums_inputs() ? 2 : 1);
  }

  bool is_packed;
  int steps;  // of four columns
  int min_at;
};

// Of scratch: 0 where there is none.
std::int64_t plain_tile_bytes(Format format, std::int64_t cols) {
  const CodesLayout codes(format);
  const PlainLayout plain(codes);
  if (!has_codes(format) || plain.is_packed) return 0;
  return cols / codes.subgroup * plain.subgroup_bytes(codes);
}

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
  bool coded() const { return has_codes(key.format); }
  int tiles_per_unit() const { return is_gated(key.epilogue) ? 2 : 1; }
  int unit_bytes() const { return tiles_per_unit() * tile; }
  int tiles_at_once() const { return e.isa().wide() ? kTilesAtOnce : 1; }
  // Floats keep a sum for each tile and token in a register, codes an integer and a float one.
  int tokens_at_once() const { return e.isa().wide() && !coded() ? kTokenBlock : kTokenBlock / 2; }

  // Scratch: for each tile of a block and each token sixteen floats, for f32 a second time.
  int scratch_tiles() const { return tiles_at_once() * tiles_per_unit(); }
  int scratch_at(int tile_index, int t) const { return (tile_index * tokens_at_once() + t) * kLanes * 4; }
  int scratch_set() const { return scratch_at(scratch_tiles(), 0); }
  int scratch_bytes() const { return 2 * scratch_set(); }

  // From a token's x, or its codes, to the next one's.
  int x_stride() const {
    return static_cast<int>(input ? row_stride(input->codes_bytes(key.cols)) : row_stride(key.cols) * 4);
  }
  std::size_t x_argument() const {
    return input ? kXq + offsetof(QuantizedArgs, codes) : offsetof(MatmulArgs, x);
  }
  int scales_stride() const { return key.cols / layout.group * 4; }
  int subgroups_stride() const { return key.cols / layout.subgroup * 4; }
  int out_stride() const { return static_cast<int>(row_stride(key.rows)) * 4; }

  // All tokens for `n_units` units at w, storing `rows` of each; then moves w and out past them.
  void emit_row_block(int n_units, int rows) {
    const int n_tiles = n_units * tiles_per_unit();
    Xbyak::Label next;
    if (coded() && !plain.is_packed) unpack(n_tiles);
    e.note("all tokens, {} at a time", tokens_at_once());
    e.xor_(token, token);
    e.lea(ahead, e.ptr[w + n_units * unit_bytes()]);
    e.mov(at_out, out);
    e.L(next, "tokens");
    for (int first = 0; first < n_tiles; first += tiles_at_once()) {
      const int n = std::min(tiles_at_once(), n_tiles - first);
      if (!coded()) {
        e.lea(at_w, e.ptr[w + first * tile]);
        sum_floats(first, n);
        continue;
      }
      // On the 256-bit tiers one half of a tile after the other: twice the tokens then share the work of
      // making a weight ready.
      for (int part = 0; part < e.parts(); ++part) {
        if (plain.is_packed) {
          e.mov(at_w, w);
        } else {
          e.mov(at_w, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
        }
        e.add(at_w, first * plain_tile());
        sum_codes(first, n, part);
      }
    }
    if (key.affine.bias) emit_bias_address<MatmulArgs>(e, at_x, out);
    for (int unit = 0; unit < n_units; ++unit) {
      for (int t = 0; t < tokens_at_once(); ++t) finish(unit, t, rows);
    }
    if (key.affine.bias) e.name(at_x, "at_x");
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

  // --- floats: a column or a pair of them a step; a pass over all for each of the 4 ways
  // ------------------------------------------
  void sum_floats(int first_tile, int n) {
    Emitter::VectorScope scope(e);
    const std::vector<V16> sums = e.v16s({tokens_at_once(), n}, "sums[token][tile]");
    const FloatStep step(e, key.format, n);
    const auto add_step = [&](int k) {
      e.note("a step: {} tiles of 16 rows, {} tokens", n, tokens_at_once());
      for (int i = 0; i < n; ++i) step.load_weights(i, at_w + i * tile + k * step.weight_bytes());
      for (int t = 0; t < tokens_at_once(); ++t) {
        step.load_input(at_x + t * x_stride() + k * FloatStep::kInputBytes);
        for (int i = 0; i < n; ++i) step.add_product(sums[static_cast<std::size_t>(t * n + i)], i);
      }
    };
    constexpr int kUnroll = 4;  // steps of one way
    const int turn = kUnroll * kFloatWays;
    const int steps = step.steps(key.cols), turns = steps / turn;
    for (int way = 0; way < kFloatWays; ++way) {
      e.note("tiles {} to {}: steps {}, {}, … (way {} of {})", first_tile, first_tile + n - 1, way,
             way + kFloatWays, way, kFloatWays);
      for (const V16& sum : sums) e.zero(sum);
      token_pointer(at_x, x_argument(), x_stride());
      step.begin();
      e.repeat(count, turns, [&] {
        for (int k = way; k < turn; k += kFloatWays) add_step(k);
        prefetch(n * kUnroll * step.weight_bytes());
        e.add(at_x, turn * FloatStep::kInputBytes);
        e.add(at_w, turn * step.weight_bytes());
      });
      for (int k = way; k < steps % turn; k += kFloatWays) add_step(k);
      step.end();
      e.sub(at_w, turns * turn * step.weight_bytes());
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

  // --- codes: four columns a step, a subgroup at a time
  // ------------------------------------------------------------------
  int groups_of_row() const { return key.cols / layout.group; }
  int plain_tile() const {
    return plain.is_packed ? tile : static_cast<int>(plain_tile_bytes(key.format, key.cols));
  }

  // The tiles at w to scratch.
  void unpack(int n_tiles) {
    Emitter::VectorScope scope(e);
    const Unpacker unpacker(e, layout, true);
    const V16 result = e.v16("result"), temp = e.v16("temp");
    const Reg64& to = at_x;
    e.note("{} tiles to scratch, a byte for each code", n_tiles);
    unpacker.begin();
    e.mov(at_w, w);
    e.mov(to, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
    e.repeat(count, n_tiles, [&] {
      e.repeat(groups, groups_of_row(), [&] {
        for (int s = 0; s < layout.subgroups(); ++s) {
          for (int step = 0; step < plain.steps; ++step) {
            unpacker.emit_step(result, at_w, s * plain.steps + step);
            e.store(to + step * 4 * kLanes, result);
          }
          emit_scale(e, layout, {result, temp}, at_w, s, 0);
          e.store(to + plain.scale_at(), result);
          if (layout.sums_inputs()) {
            emit_min(e, layout, {result, temp}, at_w, s, 0);
            e.store(to + plain.min_at, result);
          }
          e.add(to, plain.subgroup_bytes(layout));
        }
        e.add(at_w, layout.group_bytes);
      });
      e.add(at_w, tile - groups_of_row() * layout.group_bytes);
    });
  }

  // What the sums of n tiles, or of parts of them, are made with: (tokens, tiles).
  struct Codes {
    Codes(Emitter& e, const CodesLayout& layout, int n_tiles, int n_tokens)
        : n(n_tiles),
          isums(e.part16s({n_tokens, n_tiles}, "isums[token][tile]")),
          sums(e.part16s({n_tokens, n_tiles}, "sums[token][tile]")),
          x(e.inputs4(layout.small(), "x4")) {
      for (int i = 0; i < n; ++i) {
        weights.push_back(e.weights4(layout.sums16(), false, i, fmt::format("w4_tile{}", i)));
      }
      temp = e.part16("temp");
    }
    std::size_t at(int t, int i) const { return static_cast<std::size_t>(t * n + i); }

    int n;
    std::vector<V16> isums, sums;
    Emitter::Inputs4 x;
    std::vector<Emitter::Weights4> weights;
    V16 temp;
  };

  // `part` is the part of each tile's rows that one register holds.
  void sum_codes(int first_tile, int n, int part) {
    Emitter::VectorScope scope(e);
    const Codes c(e, layout, n, tokens_at_once());
    token_pointer(at_x, x_argument(), x_stride());
    token_pointer(x_scales, kXq + offsetof(QuantizedArgs, scales), scales_stride());
    const auto of_subgroups =
        layout.sums_inputs() ? offsetof(QuantizedArgs, sums) : offsetof(QuantizedArgs, offsets);
    token_pointer(x_subgroups, kXq + of_subgroups, subgroups_stride());
    e.note("tiles {} to {}: sums over {} groups of {}", first_tile, first_tile + n - 1, groups_of_row(),
           layout.group);
    for (const V16& sum : c.sums) e.zero(sum);
    e.repeat(groups, groups_of_row(), [&] {
      if (layout.subgroups() > 1) {
        e.repeat(count, layout.subgroups(), [&] { add_subgroup(c, part); });
      } else {
        add_subgroup(c, part);
      }
      e.add(x_scales, 4);
    });
    for (int i = 0; i < n; ++i) {
      for (int t = 0; t < tokens_at_once(); ++t) {
        e.store(e.rsp + scratch_at(first_tile + i, t) + part * kPartBytes, c.sums[c.at(t, i)]);
      }
    }
  }

  // Of token `t` of the block, to correct a subgroup's sum by.
  std::optional<RegExp> offset(int t) const {
    return layout.zero > 0 ? std::optional(x_subgroups + t * subgroups_stride()) : std::nullopt;
  }

  // Moves at_w, at_x and x_subgroups past it.
  void add_subgroup(const Codes& c, int part) {
    for (int t = 0; t < tokens_at_once(); ++t) {
      for (int i = 0; i < c.n; ++i) {
        e.start_dot(c.isums[c.at(t, i)], c.weights.front(), offset(t));
      }
    }
    e.repeat(count, plain.steps / kStraightSteps, [&] {
      for (int step = 0; step < kStraightSteps; ++step) add_step(c, step, part);
      e.add(at_x, kStraightSteps * 4);
      e.add(at_w, kStraightSteps * 4 * kLanes);
    });
    const int rest = plain.steps % kStraightSteps;
    for (int step = 0; step < rest; ++step) add_step(c, step, part);
    if (part == 0) prefetch(c.n * layout.group_bytes / layout.subgroups());
    const int looped = (plain.steps - rest) * 4 * kLanes;  // by which at_w has moved
    add_scaled(c, part, looped);
    e.add(at_x, rest * 4);
    e.add(at_w, plain.subgroup_bytes(layout) - looped);
    e.add(x_subgroups, 4);
  }

  void add_step(const Codes& c, int step, int part) {
    e.note("columns {} to {}: {} tiles, {} tokens", 4 * step, 4 * step + 3, c.n, tokens_at_once());
    for (int i = 0; i < c.n; ++i) {
      e.load_weights4(c.weights[static_cast<std::size_t>(i)],
                      at_w + i * plain_tile() + step * 4 * kLanes + part * kPartBytes);
    }
    for (int t = 0; t < tokens_at_once(); ++t) {
      e.broadcast_inputs4(c.x, at_x + t * x_stride() + step * 4);
      for (int i = 0; i < c.n; ++i) {
        e.dot(c.isums[c.at(t, i)], c.weights[static_cast<std::size_t>(i)], c.x, c.temp);
      }
    }
  }

  // sum = fma(float(isum), scale_w * scale_x, sum), and with minima sum = fma(min, sum of x, sum). The
  // weights' numbers take the place of their codes.
  void add_scaled(const Codes& c, int part, int moved) {
    e.note("the subgroup's sums: sum += float(isum) * scale_w * scale_x{}",
           layout.sums_inputs() ? " + min * sum of x" : "");
    const auto load = [&](int at, KvType type) {
      const int part_bytes = kPartBytes / (type == KvType::f16 ? 2 : 1);
      for (int i = 0; i < c.n; ++i) {
        e.load_as_f32(c.weights[static_cast<std::size_t>(i)].codes,
                      at_w + i * plain_tile() + at - moved + part * part_bytes, type);
      }
    };
    load(plain.scale_at(), plain.is_packed && !layout.f32_scales ? KvType::f16 : KvType::f32);
    for (int t = 0; t < tokens_at_once(); ++t) {
      e.broadcast(c.x.codes, x_scales + t * scales_stride());
      for (int i = 0; i < c.n; ++i) {
        const V16& isum = c.isums[c.at(t, i)];
        e.finish_dot(isum, c.weights.front(), offset(t), c.temp);
        e.to_float(isum, isum);
        e.mul(c.temp, c.weights[static_cast<std::size_t>(i)].codes, c.x.codes);
        e.fma(c.sums[c.at(t, i)], isum, c.temp);
      }
    }
    if (!layout.sums_inputs()) return;
    load(plain.min_at, KvType::f32);
    for (int t = 0; t < tokens_at_once(); ++t) {
      e.broadcast(c.x.codes, x_subgroups + t * subgroups_stride());
      for (int i = 0; i < c.n; ++i) {
        e.fma(c.sums[c.at(t, i)], c.weights[static_cast<std::size_t>(i)].codes, c.x.codes);
      }
    }
  }

  // --- epilogue
  // ------------------------------------------------------------------------------------------------------------
  void finish(int unit, int t, int rows) {
    Emitter::VectorScope scope(e);
    const bool gated = is_gated(key.epilogue);
    const int first_tile = unit * tiles_per_unit();
    const V16 result = e.v16("result"), up = gated ? e.v16("up") : V16();
    e.note("epilogue: {} rows of token {} of the block", rows, t);
    e.load(result, e.rsp + scratch_at(first_tile, t));
    if (gated) e.load(up, e.rsp + scratch_at(first_tile + 1, t));
    if (key.affine.scale) emit_scales<MatmulArgs>(e, result, gated ? &up : nullptr);
    const int offset = unit * kLanes * 4;
    emit_epilogue(e, key.epilogue, key.affine.bias,
                  {result, up, at_out + (t * out_stride() + offset), at_x + offset, rows});
  }

  static constexpr auto kXq = offsetof(MatmulArgs, xq);
  static constexpr int kStraightSteps = 16;
  static constexpr int kPartBytes = 32;       // of a 256-bit register
  static constexpr int kPrefetchedOver = 96;  // of a chunk's 128

  Emitter& e;
  const MatmulKey& key;
  const int tile = static_cast<int>(tile_bytes(key.format, key.cols));
  const std::optional<InputFormat> input = input_format(key.format);
  const CodesLayout layout{key.format};
  const PlainLayout plain{layout};
  const Reg64 w = e.gpr("w"), out = e.gpr("out"), units = e.gpr("units"), token = e.gpr("token");
  const Reg64 at_w = e.gpr("at_w"), at_x = e.gpr("at_x"), at_out = e.gpr("at_out"), count = e.gpr("count");
  const Reg64 groups = e.gpr("groups"), x_scales = e.gpr("x_scales");
  const Reg64 x_subgroups = e.gpr(layout.sums_inputs() ? "x_sums" : "x_offsets"), ahead = e.gpr("ahead");
};

}  // namespace

std::int64_t matmul_scratch_bytes(const MatmulKey& key) {
  const int tiles = kTilesAtOnce * (is_gated(key.epilogue) ? 2 : 1);
  return tiles * plain_tile_bytes(key.format, key.cols);
}

void generate(Emitter& e, const MatmulKey& key) {
  MatmulGenerator(e, key).generate();
}

}  // namespace llamajit::jit
