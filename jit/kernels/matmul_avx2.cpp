#include <memory>
#include <vector>

#include <fmt/format.h>

#include "jit/emit/dot.h"
#include "jit/formats/packing.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/matmul_frame.h"

namespace llamajit::jit {
namespace {

// Codes on the tier that has 16 registers and no dot product of bytes. A Zen 3 does about three vector instructions a cycle,
// whatever they are, and two loads: so both halves of a tile share the broadcasts, and as many tokens as registers allow share the
// weights. There is a register for each half and token, for its sum of the codes at hand; all else that is summed lies in
// scratch. What ends a sum goes instruction by instruction over all of them, so that none waits for the one before.
class Avx2Matmul : public PlainFrame {
 public:
  Avx2Matmul(Emitter& emitter, const MatmulKey& matmul_key)
      : PlainFrame(emitter, matmul_key, way_of(matmul_key) == Way::words ? kMostTokens : kFewerTokens) {}

 private:
  static constexpr int kMostTokens = 6, kFewerTokens = 4;
  static constexpr int kHalves = 2;
  static constexpr int kHalfBytes = 32;
  static constexpr int kStraightSteps = 16;

  // How vpmaddubsw's pairs of products are added up: as words in runs of steps, as far as these hold them; each step's as
  // 32 bits; or so, of magnitudes and of activations that have taken the weights' signs, where codes have all of a byte.
  enum class Way : std::uint8_t { words, steps, signs };
  static Way way_of(const MatmulKey& matmul_key) {
    const Sums16 sums16 = CodesLayout(matmul_key.format).sums16();
    return sums16 == Sums16::none ? Way::signs : sums16 == Sums16::one_step ? Way::steps : Way::words;
  }
  // What a tile's tokens have in scratch.
  enum Area : std::uint8_t { sums, totals, runs, n_areas };

  struct Registers {
    Registers(Emitter& e, const Dot& dot, int n_tokens, Way way)
        : isums(e.part16s({n_tokens, kHalves},
                          way == Way::words ? "words[token][half]" : "isums[token][half]")),
          x(e.part16("x4")),
          temp(e.part16("products")) {
      for (int half = 0; half < kHalves; ++half) {
        weights.push_back(dot.weights(half, fmt::format("w4_half{}", half)));
      }
      if (way != Way::words) ones = e.part16("ones");
    }
    const V16& at(int t, int half) const { return isums[static_cast<std::size_t>(t * kHalves + half)]; }
    const Dot::Weights& of(int half) const { return weights[static_cast<std::size_t>(half)]; }
    const V16& row(int half) const { return of(half).codes; }

    std::vector<V16> isums;
    std::vector<Dot::Weights> weights;  // what codes are multiplied with takes their place
    V16 x, temp, ones;
  };

  int stack_bytes() const override { return n_areas * scratch_bytes(); }
  RegExp in_scratch(Area area, int tile_index, int t, int half) const {
    return scratch(tile_index, t) + (area * scratch_bytes() + half * kHalfBytes);
  }

  // Blocks of eight tokens, as many as there are; by sixes, unless four or eight are left.
  void over_tokens(const TokenBlock& block) override {
    if (way != Way::words) return MatmulFrame::over_tokens(block);
    Xbyak::Label next, fewer, done;
    e.L(next, "tokens");
    e.mov(e.scratch(), e.ptr[e.args() + offsetof(MatmulArgs, n_tokens)]);
    e.add(e.scratch(), kTokenBlock - 1);
    e.and_(e.scratch(), -kTokenBlock);
    e.sub(e.scratch(), token);
    e.jle(done, Emitter::T_NEAR);
    for (const int few : {kFewerTokens, 2 * kFewerTokens}) {
      e.cmp(e.scratch(), few);
      e.je(fewer, Emitter::T_NEAR);
    }
    block(kMostTokens);
    e.jmp(next, Emitter::T_NEAR);
    e.L(fewer, "tokens_by_4");
    block(kFewerTokens);
    e.jmp(next, Emitter::T_NEAR);
    e.L(done, "behind_tokens");
  }

  void sum(int first_tile, int n_tiles) override {
    for (int i = first_tile; i < first_tile + n_tiles; ++i) sum_tile(i);
  }

  void sum_tile(int tile_index) {
    Emitter::VectorScope scope(e);
    const Registers r(e, *dot, tokens_at_once, way);
    point_at_tile(tile_index);
    point_at_tokens();
    e.note("tile {}: sums over {} groups of {}", tile_index, n_groups(), codes.group);
    if (way != Way::words) e.broadcast(r.ones, kOnePairs);
    e.zero(r.temp);
    clear(r, sums, tile_index);
    if (codes.subscales) clear(r, totals, tile_index);
    e.repeat(groups, n_groups(), [&] {
      if (codes.subscales) {
        e.repeat(count, codes.subgroups(), [&] { add_subgroup(r, tile_index); });
        add_group(r, tile_index);
      } else {
        add_subgroup(r, tile_index);
      }
      e.add(x_scales, 4);
    });
  }

  // Calls body(t, half) for each token and half.
  template <class Body>
  void over_sums(Body body) {
    for (int t = 0; t < tokens_at_once; ++t) {
      for (int half = 0; half < kHalves; ++half) body(t, half);
    }
  }
  // The same; emits x4 = all of the number at `x` before each token's calls. Tokens' numbers lie `stride` bytes apart.
  template <class Body>
  void over_sums(const Registers& r, const RegExp& x, int stride, Body body) {
    for (int t = 0; t < tokens_at_once; ++t) {
      e.broadcast(r.x, x + t * stride);
      for (int half = 0; half < kHalves; ++half) body(t, half);
    }
  }
  void load_rows(const Registers& r, int at) {
    for (int half = 0; half < kHalves; ++half) e.load(r.row(half), at_w + (at + half * kHalfBytes));
  }
  void load_floats(const Registers& r, int at) {
    const int bytes = kHalfBytes / (number_type() == ElementType::f32 ? 1 : 2);
    for (int half = 0; half < kHalves; ++half) {
      e.load_as_f32(r.row(half), at_w + (at + half * bytes), number_type());
    }
  }
  // `temp` is zero.
  void clear(const Registers& r, Area area, int tile_index) {
    over_sums([&](int t, int half) { e.store(in_scratch(area, tile_index, t, half), r.temp); });
  }

  // --- a subgroup
  // ----------------------------------------------------------------------------------------------------------------

  // As many steps as words hold, or all, which are added up as 32 bits.
  int steps_of_run() const {
    const Sums16 sums16 = codes.sums16();
    return sums16 == Sums16::four_steps ? 4 : sums16 == Sums16::two_steps ? 2 : plain.steps;
  }
  // Sums that no zero point corrects are multiplied by their subscales as words.
  bool scales_words() const { return codes.subscales && form == SubscaleForm::word_pairs; }

  // Moves at_w and at_x past it, and x_numbers, but for what add_group() needs of them.
  void add_subgroup(const Registers& r, int tile_index) {
    const int run = steps_of_run();
    const int looped = plain.steps > kStraightSteps ? plain.steps / kStraightSteps : 0;
    const int moved = looped * kStraightSteps * PlainLayout::kRow;
    const int rest = plain.steps - looped * kStraightSteps;
    if (looped > 0) {
      for (const V16& isum : r.isums) e.zero(isum);
    }
    e.repeat(count, looped, [&] {
      for (int step = 0; step < kStraightSteps; ++step) add_step(r, step, false);
      e.add(at_x, kStraightSteps * 4);
      e.add(at_w, kStraightSteps * PlainLayout::kRow);
    });
    for (int step = 0; step < rest; ++step) {
      add_step(r, step, looped == 0 && step % run == 0);
      if (step % run == run - 1 && step < rest - 1) put_run_aside(r, tile_index, step >= run);
    }
    prefetch(codes.group_bytes / codes.subgroups());
    if (way == Way::words) {
      finish_run(r, tile_index, looped == 0 && rest > run, plain.scale_at - moved);
    }
    if (!scales_words()) {
      if (codes.zero > 0 && way != Way::signs) {
        over_sums(r, x_numbers, numbers_stride(),
                  [&](int t, int half) { e.add_i32(r.at(t, half), r.at(t, half), r.x); });
      }
      codes.subscales ? add_subscaled(r, tile_index, moved) : add_scaled(r, tile_index, moved);
    }
    e.advance(at_x, std::int64_t{4} * rest);
    e.add(at_w, plain.subgroup_bytes - moved);
    if (!codes.submins) e.add(x_numbers, numbers.bytes);
  }

  // The first step of a sum begins it.
  void add_step(const Registers& r, int step, bool is_first) {
    e.note("columns {} to {}: {} tokens", 4 * step, 4 * step + 3, tokens_at_once);
    for (int half = 0; half < kHalves; ++half) {
      dot->load(r.of(half), at_w + (step * PlainLayout::kRow + half * kHalfBytes));
    }
    over_sums(r, at_x + step * 4, x_stride(), [&](int t, int half) {
      const Vec &isum = r.at(t, half).part[0], &x = r.x.part[0];
      const Vec& temp = is_first ? isum : r.temp.part[0];
      if (way == Way::signs) e.vpsignb(temp, x, r.of(half).signs.part[0]);
      e.vpmaddubsw(temp, r.row(half).part[0], way == Way::signs ? temp : x);
      if (way != Way::words) e.vpmaddwd(temp, temp, r.ones.part[0]);
      if (is_first) return;
      way == Way::words ? e.vpaddw(isum, isum, temp) : e.vpaddd(isum, isum, temp);
    });
  }

  // isums = their words' sums of two as 32 bits, with those of the subgroup's runs before; or the totals, of words times
  // their subscale.
  void finish_run(const Registers& r, int tile_index, bool has_earlier, int scale_at) {
    if (scales_words()) {
      e.note("totals += words * subscale");
      load_rows(r, scale_at);
      over_sums([&](int t, int half) {
        const Vec& words = r.at(t, half).part[0];
        e.vpmaddwd(words, words, r.row(half).part[0]);
      });
      return add_to_scratch(r, totals, tile_index);
    }
    e.note("isums = words of two columns each");
    over_sums([&](int t, int half) {
      const Vec& words = r.at(t, half).part[0];
      e.vpmaddwd(words, words, e.constant(kOnePairs));
    });
    if (has_earlier) add_scratch(r, runs, tile_index);
  }
  void put_run_aside(const Registers& r, int tile_index, bool has_earlier) {
    finish_run(r, tile_index, has_earlier, plain.scale_at);
    if (!scales_words()) store(r, runs, tile_index);
  }

  void add_scratch(const Registers& r, Area area, int tile_index) {
    over_sums([&](int t, int half) {
      e.add_i32(r.at(t, half), r.at(t, half), in_scratch(area, tile_index, t, half));
    });
  }
  void store(const Registers& r, Area area, int tile_index) {
    over_sums([&](int t, int half) { e.store(in_scratch(area, tile_index, t, half), r.at(t, half)); });
  }
  void add_to_scratch(const Registers& r, Area area, int tile_index) {
    add_scratch(r, area, tile_index);
    store(r, area, tile_index);
  }

  // totals += isum * subscale
  void add_subscaled(const Registers& r, int tile_index, int moved) {
    e.note("totals += isum * subscale");
    load_rows(r, plain.scale_at - moved);
    over_sums([&](int t, int half) {
      const V16& isum = r.at(t, half);
      if (form == SubscaleForm::words) {
        e.vpmaddwd(isum.part[0], isum.part[0], r.row(half).part[0]);
      } else {
        e.mul_i32(isum, isum, r.row(half));
      }
    });
    add_to_scratch(r, totals, tile_index);
  }

  // --- sums of floats
  // ----------------------------------------------------------------------------------------------------------------

  void to_float_times_rows(const Registers& r, int at) {
    load_floats(r, at);
    over_sums([&](int t, int half) { e.to_float(r.at(t, half), r.at(t, half)); });
    over_sums([&](int t, int half) { e.mul(r.at(t, half), r.at(t, half), r.row(half)); });
  }

  // sum += (float(isum) * scale_w + sum of x * min) * scale_x. at_w has `moved` past the codes.
  void add_scaled(const Registers& r, int tile_index, int moved) {
    e.note("the group's sums: sum += {} * scale_x",
           codes.sums_inputs() ? "(float(isum) * scale_w + sum of x * min)" : "float(isum) * scale_w");
    to_float_times_rows(r, plain.scale_at - moved);
    if (codes.sums_inputs()) {
      load_floats(r, plain.min_at - moved);
      over_sums(r, x_numbers, numbers_stride(),
                [&](int t, int half) { e.fma(r.at(t, half), r.row(half), r.x); });
    }
    add_to_sums(r, tile_index);
  }

  // sum += (float(total) * scale_w + float(sum of submin * subsum) * min) * scale_x. Leaves the totals zero
  // and moves at_w and x_numbers past the group.
  void add_group(const Registers& r, int tile_index) {
    e.note("the group's totals, times scale_w");
    over_sums([&](int t, int half) { e.load(r.at(t, half), in_scratch(totals, tile_index, t, half)); });
    to_float_times_rows(r, plain.group_scale_at);
    if (codes.submins) {
      store(r, totals, tile_index);
      add_minima(r, tile_index);
    }
    e.note("the rows' sums: sum += total * scale_x");
    add_to_sums(r, tile_index);
    e.zero(r.temp);
    clear(r, totals, tile_index);
    e.add(at_w, plain.tail_bytes);
  }

  // isums = the totals, which are in scratch, + float(sum of submin * subsum) * min
  void add_minima(const Registers& r, int tile_index) {
    e.note("the group's minima: sums of submin * subsum of x, of two subgroups at once");
    for (int s = 0; s < plain.n_subgroups; s += 2) {
      load_rows(r, s / 2 * PlainLayout::kRow);
      over_sums(r, x_numbers + s * numbers.bytes, numbers_stride(), [&](int t, int half) {
        const Vec& isum = r.at(t, half).part[0];
        const Vec& temp = s == 0 ? isum : r.temp.part[0];
        e.vpmaddwd(temp, r.row(half).part[0], r.x.part[0]);
        if (s > 0) e.vpaddd(isum, isum, temp);
      });
    }
    e.note("total += float(isum) * min");
    load_rows(r, plain.group_min_at);
    over_sums([&](int t, int half) { e.to_float(r.at(t, half), r.at(t, half)); });
    over_sums([&](int t, int half) {
      e.muladd(r.at(t, half), r.row(half), in_scratch(totals, tile_index, t, half));
    });
    e.add(x_numbers, plain.n_subgroups * numbers.bytes);
  }

  // sum += isums, floats now, * scale_x
  void add_to_sums(const Registers& r, int tile_index) {
    over_sums(r, x_scales, scales_stride(),
              [&](int t, int half) { e.muladd(r.at(t, half), r.x, in_scratch(sums, tile_index, t, half)); });
    store(r, sums, tile_index);
  }

  const Way way = way_of(key);
  const std::unique_ptr<const Dot> dot = Dot::choose(e, codes.sums16(), false);
};

}  // namespace

void generate_avx2_matmul(Emitter& e, const MatmulKey& key) {
  Avx2Matmul(e, key).generate();
}

}  // namespace llamajit::jit
