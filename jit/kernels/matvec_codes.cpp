#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "jit/emit/dot.h"
#include "jit/formats/packing.h"
#include "jit/formats/triples.h"
#include "jit/kernels/matvec_frame.h"
#include "jit/kernels/unpacker.h"

namespace llamajit::jit {
namespace {

// Codes: four columns a step, a group at a time.
class CodedMatvec : public MatvecFrame {
 public:
  CodedMatvec(Emitter& emitter, const MatvecKey& matvec_key) : MatvecFrame(emitter, matvec_key) {}

 private:
  // On the 256-bit tiers, codes that must be taken apart want registers, as many tokens do: one half of a
  // tile goes after the other.
  bool by_halves() const { return !e.isa().wide() && (layout.bits < 8 || !one_token()); }
  // Integer sums are exact in any order. Short subgroups with codes to take apart have one way: the processor
  // begins the next one's sum while it waits for the last. Several tokens, which are summed side by side, have
  // one way too.
  int integer_ways(int n) const {
    if (!one_token()) return 1;
    const int most = e.isa().wide() ? std::max(1, 4 / n) : 2;
    if (layout.bits == 8) return most;
    constexpr int kShort = 8;
    const int steps = layout.subgroup_steps();
    int ways = 1;
    while (ways < most && 2 * ways * kShort <= steps) ways *= 2;
    return ways;
  }

  // The registers that sums, of whole tiles or of half a one, are made with.
  struct Codes {
    Codes(CodedMatvec& g, const Sums& s)
        : sums(s),
          weights(g.weights_of(s)),
          x(g.dot->inputs("x4")),
          temp(g.dot->needs_temp() ? g.take("temp") : weights[0].codes),
          unpacker(g.e, g.layout, !g.by_halves(), s.tiles()) {
      for (int i = 0; i < sums.tiles(); ++i) {
        for (int t = 0; t < sums.tokens; ++t) {
          const std::string which = sums.tokens == 1 ? fmt::format("{}", i) : fmt::format("{}_{}", i, t);
          const std::string role = fmt::format("isums{}[way]", which);
          const int n_ways = g.integer_ways(sums.tiles());
          isums.push_back(g.by_halves() ? g.e.part16s(n_ways, role) : g.e.v16s(n_ways, role));
          if (g.layout.subscales) totals.push_back(g.take(fmt::format("total{}", which)));
        }
      }
      scale = g.layout.bits == 8 ? weights[0].codes : g.take("scale");
      if (!g.dot->needs_run()) return;  // of sums that have one way, as such subgroups are short
      for (std::size_t i = 0; i < isums.size(); ++i) runs.push_back(g.take("run"));
    }
    V16 run(std::size_t sum) const { return runs.empty() ? V16() : runs[sum]; }

    Sums sums;
    std::vector<Dot::Weights> weights;
    Dot::Inputs x;
    V16 temp;
    Unpacker unpacker;
    V16 scale;
    // Each of the sums has its own of these.
    std::vector<V16> runs;
    std::vector<std::vector<V16>> isums;
    std::vector<V16> totals;  // of a group, with subscales
  };
  // One token's weights are used once; several tokens' are kept for all of them.
  std::vector<Dot::Weights> weights_of(const Sums& sums) const {
    if (one_token()) return {dot->weights(0, "w4")};
    std::vector<Dot::Weights> weights;
    weights.reserve(static_cast<std::size_t>(sums.tiles()));
    for (int i = 0; i < sums.tiles(); ++i) weights.push_back(dot->weights(i, fmt::format("w4_tile{}", i)));
    return weights;
  }
  V16 take(std::string_view role) { return by_halves() ? e.part16(role) : e.v16(role); }

  // The registers of Codes that are there once, and those for each sum.
  int most_tokens(int n_tiles) const override {
    const bool by_signs = !e.isa().has_dot() && layout.sums16() == Sums16::none;
    const int of_weights = n_tiles * (by_signs && !e.isa().wide() ? 2 : 1);
    const int of_inputs = by_signs && e.isa().wide() ? 2 : 1;
    const int once = of_weights + of_inputs + (dot->needs_temp() ? 1 : 0) +
                     Unpacker::registers(e.isa(), layout, n_tiles) + (layout.bits == 8 ? 0 : 1);
    const int each = 2 + (layout.subscales ? 1 : 0) + (dot->needs_run() ? 1 : 0);
    return (e.vectors() - once) / (each * n_tiles);
  }
  int scales_stride() const { return key.cols / layout.group * 4; }
  int numbers_stride() const { return key.cols / layout.subgroup * numbers.bytes; }

  void sum(const Sums& sums) override {
    Emitter::VectorScope scope(e);
    const Codes c(*this, sums);
    input_pointer(x, kXq + offsetof(QuantizedArgs, codes), x_stride());
    input_pointer(x_scales, kXq + offsetof(QuantizedArgs, scales), scales_stride());
    input_pointer(x_numbers, kXq + numbers.at, numbers_stride());
    e.note("{} x 16 rows: sums over {} groups of {}", sums.tiles(), key.cols / layout.group, layout.group);
    c.unpacker.begin();
    for (const V16& sum : sums.all) e.zero(sum);
    const int n_groups = key.cols / layout.group;
    e.repeat(groups, n_groups, [&] {
      if (by_halves() && one_token()) {
        for (int half = 0; half < 2; ++half) {
          const V16 sum = half_of(sums.all[0], half);
          add_group(c, {&sum, 1}, half);
        }
      } else {
        add_group(c, sums.all, sums.part);
      }
      e.add(x, layout.padded);
      e.add(w, layout.group_bytes);
      e.add(x_scales, 4);
      e.add(x_numbers, layout.subgroups() * numbers.bytes);
    });
    e.advance(w, tile - n_groups * layout.group_bytes);
  }

  // Taking codes apart fills the processor's window with instructions before it sees the loads that it will
  // have to wait for (docs/performance-changes.md); bytes need no unpacking, and only memory is worth asking early for them.
  // Asks for its share of `bytes` at step `step` of `steps`.
  void prefetch(const Codes& c, int half, int step, int steps, int bytes) {
    if (!one_token()) return prefetch_next(step, steps, share_of_pass(c.sums.tiles(), bytes));
    if (half == 0 && (layout.bits < 8 || is_large())) prefetch_ahead(w, step, steps, bytes);
  }

  static V16 half_of(const V16& v, int half) { return {{v.part[static_cast<std::size_t>(half)], Vec()}, 1}; }

  // The group at w and x, `half` of its rows, or all.
  void add_group(const Codes& c, std::span<const V16> sums, int half) {
    if (layout.steps() > kStraightSteps && !layout.subscales && !(by_halves() && one_token())) {
      add_long_steps(c, half);
    } else {
      const int steps = layout.subgroup_steps();
      for (int s = 0; s < layout.subgroups(); ++s) {
        start(c, s);
        for (int i = 0; i < c.sums.tiles(); ++i) c.unpacker.begin_subgroup(tile_at(i), s, half, i);
        for (int step = s * steps; step < (s + 1) * steps; ++step) {
          prefetch(c, half, step, layout.steps(), layout.group_bytes);
          add_step(c, step, half);
        }
        if (layout.subscales) add_subscaled(c, s, half);
      }
      advance_next(c.sums.tiles(), layout.group_bytes);
    }
    add_scaled(c, sums, half);
  }

  // A group's steps, where they take a loop.
  void add_long_steps(const Codes& c, int half) {
    const bool triples = layout.triple_steps > 0;
    const int steps = triples ? Triple::kBlockSteps : kStraightSteps;
    const int looped = layout.steps() / steps;
    const int loop_bytes = triples ? Triple::kBlockBytes : steps * 4 * kLanes * layout.bits / 8;
    start(c, 0);
    e.repeat(count, looped, [&] {
      for (int step = 0; step < steps; ++step) {
        prefetch(c, half, step, steps, loop_bytes);
        add_step(c, step, half);
      }
      e.add(x, steps * 4);
      e.add(w, loop_bytes);
      advance_next(c.sums.tiles(), loop_bytes);
    });
    e.sub(w, looped * loop_bytes);
    e.sub(x, looped * steps * 4);
    const int rest = layout.steps() - looped * steps, rest_bytes = layout.group_bytes - looped * loop_bytes;
    for (int step = 0; step < rest; ++step) {
      prefetch(c, half, step, rest, rest_bytes);
      add_step(c, looped * steps + step, half);
    }
    if (rest > 0) advance_next(c.sums.tiles(), rest_bytes);
  }

  // Calls body(sum, t) for the sums of tile `i`: their places among all, and their tokens.
  template <class Body>
  void over_tokens(const Codes& c, int i, Body body) {
    for (int t = 0; t < c.sums.tokens; ++t) body(c.sums.at(i, t), t);
  }

  RegExp tile_at(int i) const { return w + i * tile; }

  // Returns where the number lies that corrects the sum of subgroup `s`, of the pass's token `t`.
  std::optional<RegExp> offset(int s, int t) const {
    if (layout.zero == 0) return std::nullopt;
    return x_numbers + (t * numbers_stride() + s * numbers.bytes);
  }

  void start(const Codes& c, int s) {
    for (int i = 0; i < c.sums.tiles(); ++i) {
      over_tokens(c, i, [&](std::size_t sum, int t) {
        const std::vector<V16>& ways = c.isums[sum];
        dot->start(ways[0], offset(s, t));
        for (std::size_t way = 1; way < ways.size(); ++way) e.zero(ways[way]);
      });
    }
  }

  void add_step(const Codes& c, int step, int half) {
    e.note("columns {} to {} of the group: 4 codes of x, 16 rows x 4 codes of W", 4 * step, 4 * step + 3);
    const int n = c.sums.tiles(), steps = layout.subgroup_steps();
    const auto unpack = [&](int i, const Dot::Weights& weights) {
      c.unpacker.emit_step(weights.codes, tile_at(i), step, half, c.scale, i);
      dot->make_ready(weights);
    };
    const auto acc = [&](std::size_t sum) {
      return c.isums[sum][static_cast<std::size_t>(step) % c.isums[sum].size()];
    };
    const auto run = [&](std::size_t sum) { return Dot::Run{c.run(sum), step % steps, steps}; };
    const auto add = [&](std::size_t sum, const Dot::Weights& weights) {
      dot->add(acc(sum), weights, c.x, c.temp, run(sum));
    };
    if (one_token()) {
      dot->broadcast(c.x, x + step * 4);
      for (int i = 0; i < n; ++i) {
        unpack(i, c.weights[0]);
        add(c.sums.at(i, 0), c.weights[0]);
      }
      return;
    }
    for (int i = 0; i < n; ++i) unpack(i, c.weights[static_cast<std::size_t>(i)]);
    for (int t = 0; t < c.sums.tokens; ++t) {
      const RegExp x_t = x + (t * x_stride() + step * 4);
      if (n == 1) {
        const std::size_t sum = c.sums.at(0, t);
        dot->add_broadcast(acc(sum), c.weights[0], x_t, c.x, c.temp, run(sum));
        continue;
      }
      dot->broadcast(c.x, x_t);
      for (int i = 0; i < n; ++i) add(c.sums.at(i, t), c.weights[static_cast<std::size_t>(i)]);
    }
  }

  // Emits all ways' isum of subgroup `s`.
  V16 finished_isum(const Codes& c, std::size_t sum, int s, int t) {
    const std::vector<V16>& isums = c.isums[sum];
    for (std::size_t step = 1; step < isums.size(); step *= 2) {
      for (std::size_t j = 0; j < isums.size(); j += 2 * step)
        dot->combine(isums[j], isums[j], isums[j + step]);
    }
    dot->finish(isums[0], offset(s, t), c.temp);
    return isums[0];
  }

  // total += isum * subscale
  void add_subscaled(const Codes& c, int s, int half) {
    e.note("the subgroup's sum: total += isum * subscale");
    for (int i = 0; i < c.sums.tiles(); ++i) {
      over_tokens(c, i, [&](std::size_t sum, int t) { finished_isum(c, sum, s, t); });
      emit_subscale(e, layout, c.scale, tile_at(i), s, half);
      over_tokens(c, i, [&](std::size_t sum, int) {
        const V16 &isum = c.isums[sum][0], &total = c.totals[sum];
        e.mul_i32(s == 0 ? total : isum, isum, c.scale);
        if (s > 0) e.add_i32(total, total, isum);
      });
    }
  }

  // sum += (float(isum or total) * scale_w + sum of (submin *) x * min) * scale_x
  void add_scaled(const Codes& c, std::span<const V16> sums, int half) {
    const std::string_view isum = layout.subscales ? "total" : "isum";
    e.note("the group's sum: sum += {} * scale_x",
           layout.sums_inputs() ? fmt::format("(float({}) * scale_w + float(sum of x) * min)", isum)
                                : fmt::format("float({}) * scale_w", isum));
    const auto value = [&](std::size_t sum) { return layout.subscales ? c.totals[sum] : c.isums[sum][0]; };
    for (int i = 0; i < c.sums.tiles(); ++i) {
      if (!layout.subscales) {
        over_tokens(c, i, [&](std::size_t sum, int t) { finished_isum(c, sum, 0, t); });
      }
      emit_scale(e, layout, c.scale, tile_at(i), half);
      over_tokens(c, i, [&](std::size_t sum, int) {
        e.to_float(value(sum), value(sum));
        e.mul(value(sum), value(sum), c.scale);
      });
      if (layout.submins) {
        add_minima(c, i, half);
      } else if (layout.sums_inputs()) {
        emit_min(e, layout, c.scale, tile_at(i), half);
        over_tokens(c, i, [&](std::size_t sum, int t) {
          e.fma_broadcast(value(sum), c.scale, x_numbers + t * numbers_stride(), c.temp);
        });
      }
      over_tokens(c, i, [&](std::size_t sum, int t) {
        e.fma_broadcast(sums[sum], value(sum), x_scales + t * scales_stride(), c.scale);
      });
    }
  }

  // total += float(sum of submin * subsum of x) * min
  void add_minima(const Codes& c, int i, int half) {
    over_tokens(c, i, [&](std::size_t sum, int) { e.zero(c.isums[sum][0]); });
    for (int s = 0; s < layout.subgroups(); s += 2) {
      emit_submins(e, layout, c.scale, tile_at(i), s, half);
      over_tokens(c, i, [&](std::size_t sum, int t) {
        e.broadcast(c.x.codes, x_numbers + (t * numbers_stride() + s * numbers.bytes));
        e.dot_i16(c.isums[sum][0], c.scale, c.x.codes, c.temp);
      });
    }
    over_tokens(c, i, [&](std::size_t sum, int) { e.to_float(c.isums[sum][0], c.isums[sum][0]); });
    emit_min(e, layout, c.scale, tile_at(i), half);
    over_tokens(c, i, [&](std::size_t sum, int) { e.fma(c.totals[sum], c.isums[sum][0], c.scale); });
  }

  static constexpr int kStraightSteps = 32;

  const std::unique_ptr<const Dot> dot = Dot::choose(e, layout.sums16(), !by_halves());
};

}  // namespace

void generate_coded_matvec(Emitter& e, const MatvecKey& key) {
  CodedMatvec(e, key).generate();
}

}  // namespace llamajit::jit
