#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "jit/emit/dot.h"
#include "jit/formats/packing.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matmul_frame.h"

namespace llamajit::jit {
namespace {

// Codes: four columns a step, a subgroup at a time, of tiles in the plain codes. Each tile and token has an
// integer and another sum in registers.
class CodedMatmul : public PlainFrame {
 public:
  CodedMatmul(Emitter& emitter, const MatmulKey& matmul_key)
      : PlainFrame(emitter, matmul_key, kTokenBlock / 2) {}

 private:
  // The registers of n tiles, or of parts of them: (tokens, tiles). With subscales `sums` are a group's totals, and those
  // of the rows lie in scratch.
  struct Registers {
    Registers(Emitter& e, const CodesLayout& codes, const Dot& dot, int n_tiles, int n_tokens)
        : n(n_tiles),
          isums(e.part16s({n_tokens, n_tiles}, "isums[token][tile]")),
          sums(e.part16s({n_tokens, n_tiles}, codes.subscales ? "totals[token][tile]" : "sums[token][tile]")),
          x(dot.inputs("x4")) {
      for (int i = 0; i < n; ++i) {
        weights.push_back(dot.weights(i, fmt::format("w4_tile{}", i)));
      }
      if (dot.needs_temp()) temp = e.part16("temp");
    }
    std::size_t at(int t, int i) const { return static_cast<std::size_t>(t * n + i); }
    const V16& row(int i) const { return weights[static_cast<std::size_t>(i)].codes; }

    int n;
    std::vector<V16> isums, sums;
    Dot::Inputs x;
    std::vector<Dot::Weights> weights;
    V16 temp;
  };

  // The 256-bit tiers do one half of a tile after the other: twice the tokens then share the work of making a
  // weight ready.
  void sum(int first_tile, int n) override {
    for (int part = 0; part < e.parts(); ++part) {
      point_at_tile(first_tile);
      sum_part(first_tile, n, part);
    }
  }

  // `part` is the part of each tile's rows that one register holds.
  void sum_part(int first_tile, int n, int part) {
    Emitter::VectorScope scope(e);
    const Registers r(e, codes, *dot, n, tokens_at_once);
    point_at_tokens();
    e.note("tiles {} to {}: sums over {} groups of {}", first_tile, first_tile + n - 1, n_groups(),
           codes.group);
    for (const V16& sum : r.sums) e.zero(sum);
    const auto store_sums = [&] {
      for (int t = 0; t < tokens_at_once; ++t) {
        for (int i = 0; i < n; ++i) e.store(sum_at(first_tile + i, t, part), r.sums[r.at(t, i)]);
      }
    };
    if (codes.subscales) store_sums();
    e.repeat(groups, n_groups(), [&] {
      if (codes.subscales) {
        const int parts = std::max(1, codes.float_parts());
        for (int p = 0; p < parts; ++p) {
          e.repeat(count, codes.subgroups() / parts, [&] { add_subgroup(r, part); });
          if (p < parts - 1) put_totals_aside(r, first_tile, part);
        }
        add_group(r, first_tile, part);
      } else {
        add_subgroup(r, part);
      }
      e.add(x_scales, 4);
    });
    if (!codes.subscales) store_sums();
  }

  RegExp sum_at(int tile_index, int t, int part) const { return scratch(tile_index, t) + part * kPartBytes; }

  // Returns where the number lies that corrects a subgroup's sum, of token `t` of the block.
  std::optional<RegExp> offset(int t) const {
    return codes.zero > 0 ? std::optional(x_numbers + t * numbers_stride()) : std::nullopt;
  }

  // Emits a subgroup; moves at_w and at_x past it, and x_numbers, but for what add_group() needs of them.
  void add_subgroup(const Registers& r, int part) {
    over_sums(r, [&](int t, int i) { dot->start(r.isums[r.at(t, i)], offset(t)); });
    e.repeat(count, plain.steps / kStraightSteps, [&] {
      for (int step = 0; step < kStraightSteps; ++step) add_step(r, step, part);
      e.add(at_x, kStraightSteps * 4);
      e.add(at_w, kStraightSteps * PlainLayout::kRow);
    });
    const int rest = plain.steps % kStraightSteps;
    for (int step = 0; step < rest; ++step) add_step(r, step, part);
    if (part == 0) prefetch(r.n * codes.group_bytes / codes.subgroups());
    const int looped = (plain.steps - rest) * PlainLayout::kRow;  // by which at_w has moved
    over_sums(r, [&](int t, int i) { dot->finish(r.isums[r.at(t, i)], offset(t), r.temp); });
    codes.subscales ? add_subscaled(r, part) : add_scaled(r, part, looped);
    e.advance(at_x, std::int64_t{4} * rest);
    e.add(at_w, plain.subgroup_bytes - looped);
    if (!codes.submins) e.add(x_numbers, numbers.bytes);
  }

  void add_step(const Registers& r, int step, int part) {
    e.note("columns {} to {}: {} tiles, {} tokens", 4 * step, 4 * step + 3, r.n, tokens_at_once);
    for (int i = 0; i < r.n; ++i) {
      dot->load(r.weights[static_cast<std::size_t>(i)],
                at_w + i * plain_tile() + step * PlainLayout::kRow + part * kPartBytes);
    }
    for (int t = 0; t < tokens_at_once; ++t) {
      dot->broadcast(r.x, at_x + t * x_stride() + step * 4);
      for (int i = 0; i < r.n; ++i) {
        dot->add(r.isums[r.at(t, i)], r.weights[static_cast<std::size_t>(i)], r.x, r.temp,
                 {V16(), step, plain.steps});
      }
    }
  }

  // --- the ends of subgroups and groups. What codes are multiplied with takes their place.
  // ----------------------------------------------------------------------------------------------------------------

  // A row of each tile at at_w + `at`.
  void load_rows(const Registers& r, int at, int part, ElementType type = ElementType::f32) {
    const int part_bytes = kPartBytes / (type == ElementType::f32 ? 1 : 2);
    for (int i = 0; i < r.n; ++i) {
      e.load_as_f32(r.row(i), at_w + i * plain_tile() + at + part * part_bytes, type);
    }
  }

  // Calls body(t, i) for each token and tile.
  template <class Body>
  void over_sums(const Registers& r, Body body) {
    for (int t = 0; t < tokens_at_once; ++t) {
      for (int i = 0; i < r.n; ++i) body(t, i);
    }
  }
  // Emits x4 = all of the number at `x` before each token's calls; tokens' numbers lie `stride` bytes apart.
  template <class Body>
  void over_sums(const Registers& r, const RegExp& x, int stride, Body body) {
    for (int t = 0; t < tokens_at_once; ++t) {
      e.broadcast(r.x.codes, x + t * stride);
      for (int i = 0; i < r.n; ++i) body(t, i);
    }
  }

  void to_float_times_rows(const Registers& r, const std::vector<V16>& values, bool are_integers = true) {
    over_sums(r, [&](int t, int i) {
      const V16& value = values[r.at(t, i)];
      if (are_integers) e.to_float(value, value);
      e.mul(value, value, r.row(i));
    });
  }

  // sum += (float(isum) * scale_w + sum of x * min) * scale_x. at_w has `moved` past the codes.
  void add_scaled(const Registers& r, int part, int moved) {
    e.note("the group's sums: sum += {} * scale_x",
           codes.sums_inputs() ? "(float(isum) * scale_w + sum of x * min)" : "float(isum) * scale_w");
    load_rows(r, plain.scale_at - moved, part, number_type());
    to_float_times_rows(r, r.isums);
    if (codes.sums_inputs()) {
      load_rows(r, plain.min_at - moved, part);
      over_sums(r, x_numbers, numbers_stride(),
                [&](int t, int i) { e.fma(r.isums[r.at(t, i)], r.row(i), r.x.codes); });
    }
    over_sums(r, x_scales, scales_stride(),
              [&](int t, int i) { e.fma(r.sums[r.at(t, i)], r.isums[r.at(t, i)], r.x.codes); });
  }

  // total += isum * subscale. In words that takes one instruction, in floats two, else three, of which one is slow on some
  // CPUs.
  void add_subscaled(const Registers& r, int part) {
    e.note("the subgroup's sums: total += isum * subscale");
    load_rows(r, plain.scale_at, part);
    over_sums(r, [&](int t, int i) {
      const V16 &isum = r.isums[r.at(t, i)], &total = r.sums[r.at(t, i)];
      if (form == SubscaleForm::words) {
        e.dot_i16(total, isum, r.row(i), r.temp);
      } else if (form == SubscaleForm::floats) {
        e.to_float(isum, isum);
        e.fma(total, isum, r.row(i));
      } else {
        e.mul_i32(isum, isum, r.row(i));
        e.add_i32(total, total, isum);
      }
    });
  }

  // Both parts of a total are exact; their sum is rounded once, as the integer would be.
  void put_totals_aside(const Registers& r, int first_tile, int part) {
    e.note("the first part of the totals");
    over_sums(r, [&](int t, int i) {
      const V16& total = r.sums[r.at(t, i)];
      e.store(aside_at(first_tile + i, t, part), total);
      e.zero(total);
    });
  }
  RegExp aside_at(int tile_index, int t, int part) const {
    return more_scratch(tile_index, t) + part * kPartBytes;
  }

  // sum += (float(total) * scale_w + float(sum of submin * subsum) * min) * scale_x. Leaves the totals zero
  // and moves at_w and x_numbers past the group.
  void add_group(const Registers& r, int first_tile, int part) {
    e.note("the group's totals, times scale_w");
    load_rows(r, plain.group_scale_at, part);
    if (codes.float_parts() > 1) {
      over_sums(r, [&](int t, int i) {
        const V16& total = r.sums[r.at(t, i)];
        e.add(total, total, aside_at(first_tile + i, t, part));
      });
    }
    to_float_times_rows(r, r.sums, form != SubscaleForm::floats);
    if (codes.submins) add_minima(r, part);
    e.note("the rows' sums: sum += total * scale_x");
    over_sums(r, x_scales, scales_stride(), [&](int t, int i) {
      const V16& total = r.sums[r.at(t, i)];
      e.muladd(total, r.x.codes, sum_at(first_tile + i, t, part));
      e.store(sum_at(first_tile + i, t, part), total);
      e.zero(total);
    });
    e.add(at_w, plain.tail_bytes);
  }

  // total += float(sum of submin * subsum) * min
  void add_minima(const Registers& r, int part) {
    e.note("the group's minima: isum = sum of submin * subsum of x, of two subgroups at once");
    for (const V16& isum : r.isums) e.zero(isum);
    for (int s = 0; s < plain.n_subgroups; s += 2) {
      load_rows(r, s / 2 * PlainLayout::kRow, part);
      over_sums(r, x_numbers + s * numbers.bytes, numbers_stride(),
                [&](int t, int i) { e.dot_i16(r.isums[r.at(t, i)], r.row(i), r.x.codes, r.temp); });
    }
    e.note("total += float(isum) * min");
    load_rows(r, plain.group_min_at, part);
    over_sums(r, [&](int t, int i) {
      const V16& isum = r.isums[r.at(t, i)];
      e.to_float(isum, isum);
      e.fma(r.sums[r.at(t, i)], isum, r.row(i));
    });
    e.add(x_numbers, plain.n_subgroups * numbers.bytes);
  }

  static constexpr int kStraightSteps = 16;
  static constexpr int kPartBytes = 32;  // of a 256-bit register

  const std::unique_ptr<const Dot> dot = Dot::choose(e, codes.sums16(), false);
};

}  // namespace

void generate_coded_matmul(Emitter& e, const MatmulKey& key) {
  CodedMatmul(e, key).generate();
}

}  // namespace llamajit::jit
