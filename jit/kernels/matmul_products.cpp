#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matmul_frame.h"
#include "jit/kernels/product_layout.h"

namespace llamajit::jit {
namespace {

// Codes whose subscales are in their bytes: a group's integer sum is one run of dot products, without an end of each
// subgroup. Where bytes have an offset, the sum of x's codes takes it out again.
class ProductMatmul : public CodesFrame {
 public:
  ProductMatmul(Emitter& emitter, const MatmulKey& matmul_key)
      : CodesFrame(emitter, matmul_key, kTokenBlock / 2) {}

 private:
  static constexpr int kRow = ProductLayout::kRow;
  static constexpr int kStraightSteps = 16;

  // The registers of n tiles: (tokens, tiles).
  struct Registers {
    Registers(Emitter& e, int n_tiles, int n_tokens)
        : n(n_tiles),
          isums(e.v16s({n_tokens, n_tiles}, "isums[token][tile]")),
          sums(e.v16s({n_tokens, n_tiles}, "sums[token][tile]")),
          rows(e.v16s({n_tiles}, "w4_tile[tile]")),
          x(e.v16("x4")),
          temp(e.v16("temp")) {}
    std::size_t at(int t, int i) const { return static_cast<std::size_t>(t * n + i); }
    const V16& row(int i) const { return rows[static_cast<std::size_t>(i)]; }

    int n;
    std::vector<V16> isums, sums, rows;
    V16 x, temp;
  };

  int tile_bytes() const { return static_cast<int>(layout.scratch_bytes(key.cols)); }

  void begin_rows(int n_tiles) override {
    e.mov(at_w, w);
    e.mov(at_x, e.ptr[e.args() + offsetof(MatmulArgs, scratch)]);
    emit_products(e, key.format, layout, n_tiles, key.cols, {at_w, at_x, count, groups});
  }

  void sum(int first_tile, int n) override {
    Emitter::VectorScope scope(e);
    const Registers r(e, n, tokens_at_once);
    point_at_scratch(first_tile, tile_bytes());
    point_at_tokens();
    e.note("tiles {} to {}: sums over {} groups of {}", first_tile, first_tile + n - 1, n_groups(),
           codes.group);
    for (const V16& sum : r.sums) e.zero(sum);
    e.repeat(groups, n_groups(), [&] { add_group(r); });
    over_sums(r, [&](int t, int i) { e.store(scratch(first_tile + i, t), r.sums[r.at(t, i)]); });
  }

  // Calls body(t, i) for each token and tile.
  template <class Body>
  void over_sums(const Registers& r, Body body) {
    for (int t = 0; t < tokens_at_once; ++t) {
      for (int i = 0; i < r.n; ++i) body(t, i);
    }
  }
  // Emits row(i) = a row of each tile at at_w + `at`.
  void load_rows(const Registers& r, int at) {
    for (int i = 0; i < r.n; ++i) e.load(r.row(i), at_w + (i * tile_bytes() + at));
  }

  // sum += (float(isum) * scale_w + float(sum of submin * subsum) * min) * scale_x. Moves the pointers past the group.
  void add_group(const Registers& r) {
    for (const V16& isum : r.isums) e.zero(isum);
    e.repeat(count, layout.steps / kStraightSteps, [&] {
      for (int step = 0; step < kStraightSteps; ++step) add_step(r, step);
      e.add(at_x, kStraightSteps * 4);
      e.add(at_w, kStraightSteps * kRow);
    });
    e.sub(at_w, layout.plane_bytes());
    prefetch(r.n * codes.group_bytes);
    if (layout.bytes->offset > 0) take_offset_out(r);
    e.note("the group's sums, times scale_w");
    load_rows(r, layout.scale_at);
    over_sums(r, [&](int t, int i) {
      const V16& isum = r.isums[r.at(t, i)];
      e.to_float(isum, isum);
      e.mul(isum, isum, r.row(i));
    });
    if (codes.submins) add_minima(r);
    e.note("the rows' sums: sum += isum * scale_x");
    for (int t = 0; t < tokens_at_once; ++t) {
      e.broadcast(r.x, x_scales + t * scales_stride());
      for (int i = 0; i < r.n; ++i) e.fma(r.sums[r.at(t, i)], r.isums[r.at(t, i)], r.x);
    }
    e.add(at_w, layout.group_bytes);
    e.add(x_scales, 4);
    if (codes.zero > 0 || codes.sums_inputs()) e.add(x_numbers, codes.subgroups() * numbers.bytes);
  }

  void add_step(const Registers& r, int step) {
    e.note("columns {} to {}: {} tiles, {} tokens", 4 * step, 4 * step + 3, r.n, tokens_at_once);
    load_rows(r, step * kRow);
    for (int t = 0; t < tokens_at_once; ++t) {
      e.broadcast(r.x, at_x + (t * x_stride() + step * 4));
      for (int i = 0; i < r.n; ++i) {
        e.vpdpbusd(r.isums[r.at(t, i)].part[0], r.row(i).part[0], r.x.part[0]);
      }
    }
  }

  // isum = (isum << shift) - offset * (sum of x). x's offsets are its sums times -zero, so theirs is taken times offset / zero.
  void take_offset_out(const Registers& r) {
    const auto zero = static_cast<unsigned>(codes.zero);
    const auto zeros_bits = static_cast<std::uint8_t>(std::countr_zero(zero));  // it is a power of two
    for (int t = 0; t < tokens_at_once; ++t) {
      e.note("token {}: isum less {} * sum of x", t, layout.bytes->offset);
      const RegExp from = x_numbers + t * numbers_stride();
      if (codes.subgroups() == kLanes) {
        e.load(r.x, from);
      } else {
        e.vmovups(Xbyak::Ymm(r.x.part[0].getIdx()), e.ptr[from]);
      }
      const Vec total = e.fold_add_i32(r.x, r.temp);
      e.broadcast_lane0(r.x, total);
      e.mul_i32(r.x, r.x, i32(layout.bytes->offset));
      e.vpsrad(r.x.part[0], r.x.part[0], zeros_bits);
      for (int i = 0; i < r.n; ++i) {
        const V16& isum = r.isums[r.at(t, i)];
        if (layout.bytes->shift > 0) e.shift_left(isum, isum, layout.bytes->shift);
        e.add_i32(isum, isum, r.x);
      }
    }
  }

  // isum += float(sum of submin * subsum of x) * min, of two subgroups at once.
  void add_minima(const Registers& r) {
    for (int i = 0; i < r.n; ++i) {
      const int tile_at = i * tile_bytes();
      for (int t = 0; t < tokens_at_once; ++t) {
        e.note("tile {}, token {}: isum += float(sum of submin * subsum) * min", i, t);
        e.zero(r.temp);
        for (int s = 0; s < codes.subgroups(); s += 2) {
          e.broadcast(r.x, x_numbers + (t * numbers_stride() + s * numbers.bytes));
          e.vpdpwssd(r.temp.part[0], r.x.part[0], e.ptr[at_w + (tile_at + layout.submins_at + s / 2 * kRow)]);
        }
        e.to_float(r.temp, r.temp);
        e.fma(r.isums[r.at(t, i)], r.temp, at_w + (tile_at + layout.min_at));
      }
    }
  }

  const ProductLayout layout = ProductLayout::of_vectors(codes);
};

}  // namespace

void generate_product_matmul(Emitter& e, const MatmulKey& key) {
  ProductMatmul(e, key).generate();
}

}  // namespace llamajit::jit
