#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "jit/formats/packing.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matmul_frame.h"
#include "jit/kernels/product_layout.h"

namespace llamajit::jit {
namespace {

// Groups so long that the products outweigh what comes behind them.
bool has_long_groups(Format format) {
  return format.group >= 256;
}

// Codes in tiles: sixteen tokens times sixteen rows of the matrix times up to 64 columns are one instruction. Tokens are the
// first operand, whose rows shorten the instruction where they are few. Tiles of the result pass through memory, where vectors
// find a token's sums of sixteen rows, as in other kernels.
//
// Of short groups sixteen tokens are multiplied at once, whose sums stay in registers, and several groups before the first
// one's results are used, for these take their time to come. Of long groups it is 32 tokens, since loads from the
// second-level cache take longer than products: each tile of weights then serves two of tokens, and one of tokens both planes.
class TileMatmul : public CodesFrame {
 public:
  TileMatmul(Emitter& emitter, const MatmulKey& matmul_key)
      : CodesFrame(emitter, matmul_key, has_long_groups(matmul_key.format) ? 2 * kTokens : kTokens) {}

 private:
  static constexpr int kTokens = kLanes;  // of a tile
  static constexpr int kResults = 4;      // tiles of them at once
  static constexpr int kTileBytes = kTokens * ProductLayout::kRow;

  bool is_long() const { return has_long_groups(key.format); }
  int token_tiles() const { return std::max(1, tokens_at_once / kTokens); }
  int groups_at_once() const { return kResults / (layout.planes * (is_long() ? 2 : 1)); }

  // Of the groups at once, the tiles of tokens and the planes.
  std::size_t result(int group, int token_tile, int plane) const {
    return static_cast<std::size_t>((group * (is_long() ? 2 : 1) + token_tile) * layout.planes + plane);
  }
  RegExp result_at(int group, int t, int plane) const {
    const int tile_at = static_cast<int>(result(group, t / kTokens, plane)) * kTileBytes;
    return e.rsp + (scratch_bytes() + tile_at + t % kTokens * ProductLayout::kRow);
  }
  int stack_bytes() const override { return scratch_bytes() + kResults * kTileBytes; }

  void begin_rows(int n_tiles) override {
    e.mov(at_w, w);
    e.mov(at_x, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
    emit_products(e, key.format, layout, n_tiles, key.cols, {at_w, at_x, count, groups});
    configure(kTokens);
  }

  void configure(int tokens) {
    std::vector<TileShape> shapes(results.size(), {tokens, ProductLayout::kRow});
    shapes.insert(shapes.end(), xs.size(), {tokens, layout.k});
    shapes.insert(shapes.end(), ws.size(), {layout.k / 4, ProductLayout::kRow});
    e.note("tiles for {} tokens", tokens);
    e.configure_tiles(shapes);
  }

  // As many as fit as long as that many come, padded to blocks of eight; then what is left, by halves.
  void over_tokens(const TokenBlock& block) override {
    for (int n = most_tokens; n >= kTokenBlock; n /= 2) {
      Xbyak::Label again, fewer;
      const auto compare = [&] {
        e.lea(e.scratch(), e.ptr[token + (n - kTokenBlock)]);
        e.cmp(e.scratch(), e.ptr[e.args() + offsetof(MatmulArgs, n_tokens)]);
      };
      compare();
      e.jge(fewer, Emitter::T_NEAR);
      if (n < kTokens) configure(n);
      e.L(again, fmt::format("tokens_by_{}", n));
      block(n);
      if (n == most_tokens) {
        compare();
        e.jl(again, Emitter::T_NEAR);
      }
      e.L(fewer, fmt::format("fewer_than_{}", n));
    }
  }

  void sum(int first_tile, int n) override {
    e.mov(count, ProductLayout::kRow);
    e.mov(e.scratch(), x_stride());
    e.name(count, "row_bytes");
    e.name(e.scratch(), "x_row_bytes");
    for (int i = 0; i < n; ++i) sum_tile(first_tile + i);
    e.name(count, "count");
    e.name(e.scratch(), "scratch");
  }

  // Emits the sums of a tile of the matrix's rows, to scratch.
  void sum_tile(int tile_index) {
    Emitter::VectorScope scope(e);
    const Registers r(e, codes, is_long() ? 0 : tokens_at_once);
    point_at_scratch(tile_index, layout.scratch_bytes(key.cols));
    point_at_tokens();
    e.note("tile {}: sums over {} groups of {}", tile_index, n_groups(), codes.group);
    for (const V16& sum : r.sums) e.zero(sum);
    if (is_long()) store_sums(r, tile_index);
    e.repeat(groups, n_groups() / groups_at_once(), [&] { add_groups(r, tile_index, groups_at_once()); });
    if (const int rest = n_groups() % groups_at_once(); rest > 0) add_groups(r, tile_index, rest);
    if (!is_long()) store_sums(r, tile_index);
  }

  // Values take turns, so that a token need not wait for the one before it.
  struct Registers {
    static constexpr int kSideBySide = 4;

    // `n_sums` of tokens are kept in registers, or 0.
    Registers(Emitter& e, const CodesLayout& codes, int n_sums)
        : values(e.v16s({kSideBySide}, "value[i]")),
          sums(e.v16s({n_sums > 0 ? n_sums : kSideBySide}, n_sums > 0 ? "sums[token]" : "sum[i]")),
          scale(e.v16("scale_w")) {
      if (codes.sums_inputs()) min = e.v16("min");
      if (!codes.submins) return;
      minima = e.v16s({kSideBySide}, "minima[i]");
      submins = e.v16s({codes.subgroups() / 2}, "submins[pair]");
    }
    const V16& sum(int t) const { return sums[static_cast<std::size_t>(t) % sums.size()]; }
    const V16& value(int t) const { return values[static_cast<std::size_t>(t % kSideBySide)]; }
    const V16& minimum(int t) const { return minima[static_cast<std::size_t>(t % kSideBySide)]; }

    std::vector<V16> values, sums;
    V16 scale, min;
    std::vector<V16> minima, submins;
  };

  void store_sums(const Registers& r, int tile_index) {
    for (int t = 0; t < tokens_at_once; ++t) e.store(scratch(tile_index, t), r.sum(t));
  }

  void add_groups(const Registers& r, int tile_index, int n) {
    for (int g = 0; g < n; ++g) multiply(g);
    e.note("results to memory");
    over_results(n, [&](int g, int token_tile, int plane) {
      e.store_tile(result_at(g, token_tile * kTokens, plane), count, results[result(g, token_tile, plane)]);
    });
    for (int g = 0; g < n; ++g) add_group(r, tile_index, g);
    e.add(at_x, n * codes.padded);
    e.add(at_w, n * layout.group_bytes);
    e.add(x_scales, n * 4);
    if (codes.sums_inputs()) e.add(x_numbers, n * codes.subgroups() * numbers.bytes);
    prefetch(n * codes.group_bytes);
  }

  template <class Body>
  void over_results(int n_at_once, Body body) {
    for (int g = 0; g < n_at_once; ++g) {
      for (int token_tile = 0; token_tile < token_tiles(); ++token_tile) {
        for (int plane = 0; plane < layout.planes; ++plane) body(g, token_tile, plane);
      }
    }
  }

  // The integer sums of a group. Tiles of weights take turns, and of tokens where there is one at a time.
  void multiply(int group) {
    e.note("group {}: {} tokens, {} columns at a time", group, tokens_at_once, layout.k);
    for (int token_tile = 0; token_tile < token_tiles(); ++token_tile) {
      for (int plane = 0; plane < layout.planes; ++plane)
        e.tilezero(results[result(group, token_tile, plane)]);
    }
    for (int i = 0; i < layout.tiles(); ++i) {
      const int turn = group * layout.tiles() + i;
      const auto x_of = [&](int token_tile) -> const Xbyak::Tmm& {
        return xs[static_cast<std::size_t>(token_tiles() > 1 ? token_tile : turn) % xs.size()];
      };
      for (int token_tile = 0; token_tile < token_tiles(); ++token_tile) {
        const int at = token_tile * kTokens * x_stride() + group * codes.padded + i * layout.k;
        e.load_tile(x_of(token_tile), at_x + at, e.scratch());
      }
      for (int plane = 0; plane < layout.planes; ++plane) {
        const Xbyak::Tmm& weights = ws[static_cast<std::size_t>(turn * layout.planes + plane) % ws.size()];
        const int at = group * layout.group_bytes + plane * layout.plane_bytes() +
                       i * layout.k / 4 * ProductLayout::kRow;
        e.load_tile(weights, at_w + at, count);
        const bool lower = plane == 0 && layout.planes > 1;
        for (int token_tile = 0; token_tile < token_tiles(); ++token_tile) {
          e.dot_tiles(results[result(group, token_tile, plane)], x_of(token_tile), weights,
                      lower ? TileBytes::u8 : TileBytes::s8);
        }
      }
    }
  }

  // sum += (float(isum) * scale_w + sum of x * min) * scale_x
  void add_group(const Registers& r, int tile_index, int group) {
    const int at = group * layout.group_bytes;
    e.note("group {}: sum += {} * scale_x", group,
           codes.sums_inputs() ? "(float(isum) * scale_w + sum of x * min)" : "float(isum) * scale_w");
    e.load(r.scale, at_w + (at + layout.scale_at));
    if (codes.sums_inputs()) e.load(r.min, at_w + (at + layout.min_at));
    for (std::size_t s = 0; s < r.submins.size(); ++s) {
      e.load(r.submins[s], at_w + (at + layout.submins_at + static_cast<int>(s) * ProductLayout::kRow));
    }
    for (int t = 0; t < tokens_at_once; ++t) {
      const V16& value = r.value(t);
      load_isum(value, group, t);
      e.mul(value, value, r.scale);
      if (codes.submins) {
        add_minima(r, group, t);
      } else if (codes.sums_inputs()) {
        const int number_at = t * numbers_stride() + group * numbers.bytes;
        e.fma_broadcast(value, r.min, x_numbers + number_at, V16());
      }
      const RegExp scale_x = x_scales + (t * scales_stride() + group * 4);
      if (is_long()) e.load(r.sum(t), scratch(tile_index, t));
      e.fma_broadcast(r.sum(t), value, scale_x, V16());
      if (is_long()) e.store(scratch(tile_index, t), r.sum(t));
    }
  }

  // value = float(isum), which the upper plane has 256 times.
  void load_isum(const V16& value, int group, int t) {
    if (layout.planes == 1) return e.to_float(value, result_at(group, t, 0));
    e.load(value, result_at(group, t, 1));
    e.shift_left(value, value, 8);
    e.add_i32(value, value, result_at(group, t, 0));
    e.to_float(value, value);
  }

  // value += float(sum of submin * subsum of x) * min, of two subgroups at once.
  void add_minima(const Registers& r, int group, int t) {
    const V16& minimum = r.minimum(t);
    e.zero(minimum);
    const int at = t * numbers_stride() + group * codes.subgroups() * numbers.bytes;
    for (std::size_t s = 0; s < r.submins.size(); ++s) {
      const int pair = static_cast<int>(s) * 2 * numbers.bytes;
      e.vpdpwssd(minimum.part[0], r.submins[s].part[0], e.ptr_b[x_numbers + (at + pair)]);
    }
    e.to_float(minimum, minimum);
    e.fma(r.value(t), minimum, r.min);
  }

  const ProductLayout layout = ProductLayout::of_tiles(codes);
  const std::vector<Xbyak::Tmm> results =
      e.tiles({groups_at_once(), is_long() ? 2 : 1, layout.planes}, "isums[group][token / 16][plane]");
  const std::vector<Xbyak::Tmm> xs = e.tiles({2}, "x[i]"), ws = e.tiles({2}, "w[i]");
};

}  // namespace

void generate_tile_matmul(Emitter& e, const MatmulKey& key) {
  TileMatmul(e, key).generate();
}

}  // namespace llamajit::jit
