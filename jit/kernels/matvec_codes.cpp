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
#include "jit/kernels/matvec_frame.h"
#include "jit/kernels/unpacker.h"

namespace llamajit::jit {
namespace {

// Codes: four columns a step, a group at a time.
class CodedMatvec : public MatvecFrame {
 public:
  CodedMatvec(Emitter& emitter, const MatvecKey& matvec_key) : MatvecFrame(emitter, matvec_key) {}

 private:
  // On the 256-bit tiers, codes that must be taken apart want registers: one half of a tile goes after the
  // other.
  bool by_halves() const { return !e.isa().wide() && layout.bits < 8; }
  // Integer sums are exact in any order. Short subgroups with codes to take apart have one way: the processor
  // begins the next one's sum while it waits for the last.
  int integer_ways(int n) const {
    const int most = e.isa().wide() ? std::max(1, 4 / n) : 2;
    if (layout.bits == 8) return most;
    constexpr int kShort = 8;
    const int steps = layout.subgroup_steps();
    int ways = 1;
    while (ways < most && 2 * ways * kShort <= steps) ways *= 2;
    return ways;
  }

  // What the sums of some tiles, or of half a one, are made with.
  struct Codes {
    Codes(CodedMatvec& g, int n_tiles)
        : weights(g.dot->weights(0, "w4")),
          x(g.dot->inputs("x4")),
          temp(g.dot->needs_temp() ? g.take("temp") : weights.codes),
          unpacker(g.e, g.layout, !g.by_halves()) {
      for (int i = 0; i < n_tiles; ++i) {
        const std::string role = fmt::format("isums{}[way]", i);
        const int n_ways = g.integer_ways(n_tiles);
        isums.push_back(g.by_halves() ? g.e.part16s(n_ways, role) : g.e.v16s(n_ways, role));
        if (g.layout.subscales) totals.push_back(g.take(fmt::format("total{}", i)));
      }
      scale = g.layout.bits == 8 ? weights.codes : g.take("scale");
      if (g.dot->needs_run()) run = g.take("run");  // such subgroups are short and have one way
    }
    Dot::Weights weights;
    Dot::Inputs x;
    V16 temp;
    Unpacker unpacker;
    V16 scale, run;
    std::vector<std::vector<V16>> isums;  // of each tile
    std::vector<V16> totals;              // of each tile's group, with subscales
  };
  V16 take(std::string_view role) { return by_halves() ? e.part16(role) : e.v16(role); }

  void sum(std::span<const V16> sums) override {
    Emitter::VectorScope scope(e);
    const Codes c(*this, static_cast<int>(sums.size()));
    e.mov(x, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, codes)]);
    e.mov(x_scales, e.ptr[e.args() + kXq + offsetof(QuantizedArgs, scales)]);
    e.mov(x_numbers, e.ptr[e.args() + kXq + numbers.at]);
    e.note("{} x 16 rows: sums over {} groups of {}", sums.size(), key.cols / layout.group, layout.group);
    c.unpacker.begin();
    for (const V16& sum : sums) e.zero(sum);
    const int n_groups = key.cols / layout.group;
    e.repeat(groups, n_groups, [&] {
      if (by_halves()) {
        for (int half = 0; half < 2; ++half) {
          const V16 sum = half_of(sums[0], half);
          add_group(c, {&sum, 1}, half);
        }
      } else {
        add_group(c, sums, 0);
      }
      e.add(x, layout.padded);
      e.add(w, layout.group_bytes);
      e.add(x_scales, 4);
      e.add(x_numbers, layout.subgroups() * numbers.bytes);
    });
    e.advance(w, tile - n_groups * layout.group_bytes);
  }

  // Taking codes apart fills the processor's window with instructions before it sees the loads that it will
  // have to wait for (docs/performance.md). Asks for its share of `bytes` at step `step` of `steps`: all
  // lines at once would fill the queue of misses.
  void prefetch(int step, int steps, int bytes) {
    if (layout.bits == 8) return;
    const int n_lines = static_cast<int>(divide_up(bytes, kCacheLine));
    for (int line = step * n_lines / steps; line < (step + 1) * n_lines / steps; ++line) {
      e.prefetcht0(e.ptr[w + (ahead() + line * kCacheLine)]);
    }
  }
  // Far enough for memory; in a small matrix, not so far that most of it is behind the end.
  int ahead() const {
    const std::int64_t matrix = packed_bytes(key.format, key.rows, key.cols) * tiles_per_unit();
    return static_cast<int>(std::clamp<std::int64_t>(round_up(matrix / 32, kCacheLine), 4096, 32768));
  }

  static V16 half_of(const V16& v, int half) { return {{v.part[static_cast<std::size_t>(half)], Vec()}, 1}; }

  // The group at w and x, `half` of its rows, or all.
  void add_group(const Codes& c, std::span<const V16> sums, int half) {
    if (layout.steps() > kStraightSteps && !layout.subscales && !by_halves()) {
      add_long_steps(c);
    } else {
      const int steps = layout.subgroup_steps();
      for (int s = 0; s < layout.subgroups(); ++s) {
        start(c, s);
        for (int step = s * steps; step < (s + 1) * steps; ++step) {
          if (half == 0) prefetch(step, layout.steps(), layout.group_bytes);
          add_step(c, step, half * kPartBytes);
        }
        if (layout.subscales) add_subscaled(c, s, half);
      }
    }
    add_scaled(c, sums, half);
  }

  // A group's steps, where they take a loop.
  void add_long_steps(const Codes& c) {
    const int looped = layout.steps() / kStraightSteps;
    const int loop_bytes = kStraightSteps * 4 * kLanes * layout.bits / 8;
    start(c, 0);
    e.repeat(count, looped, [&] {
      for (int step = 0; step < kStraightSteps; ++step) {
        prefetch(step, kStraightSteps, loop_bytes);
        add_step(c, step, 0);
      }
      e.add(x, kStraightSteps * 4);
      e.add(w, loop_bytes);
    });
    for (int step = 0; step < layout.steps() % kStraightSteps; ++step) add_step(c, step, 0);
    e.sub(w, looped * loop_bytes);
    e.sub(x, looped * kStraightSteps * 4);
  }

  // Of subgroup `s`, to correct its sum by.
  std::optional<RegExp> offset(int s) const {
    return layout.zero > 0 ? std::optional(x_numbers + s * numbers.bytes) : std::nullopt;
  }

  void start(const Codes& c, int s) {
    for (const std::vector<V16>& ways : c.isums) {
      dot->start(ways[0], offset(s));
      for (std::size_t way = 1; way < ways.size(); ++way) e.zero(ways[way]);
    }
  }

  void add_step(const Codes& c, int step, int offset) {
    e.note("columns {} to {} of the group: 4 codes of x, 16 rows x 4 codes of W", 4 * step, 4 * step + 3);
    dot->broadcast(c.x, x + step * 4);
    const int steps = layout.subgroup_steps();
    for (std::size_t i = 0; i < c.isums.size(); ++i) {
      const std::vector<V16>& ways = c.isums[i];
      c.unpacker.emit_step(c.weights.codes, w + (static_cast<int>(i) * tile + offset), step);
      dot->make_ready(c.weights);
      dot->add(ways[static_cast<std::size_t>(step) % ways.size()], c.weights, c.x, c.temp,
               {c.run, step % steps, steps});
    }
  }

  // All ways' isum of subgroup `s`.
  V16 finished_isum(const Codes& c, std::size_t i, int s) {
    const std::vector<V16>& isums = c.isums[i];
    for (std::size_t step = 1; step < isums.size(); step *= 2) {
      for (std::size_t j = 0; j < isums.size(); j += 2 * step)
        dot->combine(isums[j], isums[j], isums[j + step]);
    }
    dot->finish(isums[0], offset(s), c.temp);
    return isums[0];
  }

  RegExp tile_at(std::size_t i) const { return w + static_cast<int>(i) * tile; }

  // total += isum * subscale
  void add_subscaled(const Codes& c, int s, int half) {
    e.note("the subgroup's sum: total += isum * subscale");
    for (std::size_t i = 0; i < c.isums.size(); ++i) {
      const V16 isum = finished_isum(c, i, s), &total = c.totals[i];
      emit_subscale(e, layout, c.scale, tile_at(i), s, half);
      e.mul_i32(s == 0 ? total : isum, isum, c.scale);
      if (s > 0) e.add_i32(total, total, isum);
    }
  }

  // sum += (float(isum or total) * scale_w + sum of (submin *) x * min) * scale_x
  void add_scaled(const Codes& c, std::span<const V16> sums, int half) {
    const std::string_view isum = layout.subscales ? "total" : "isum";
    e.note("the group's sum: sum += {} * scale_x",
           layout.sums_inputs() ? fmt::format("(float({}) * scale_w + float(sum of x) * min)", isum)
                                : fmt::format("float({}) * scale_w", isum));
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const V16 value = layout.subscales ? c.totals[i] : finished_isum(c, i, 0);
      emit_scale(e, layout, c.scale, tile_at(i), half);
      e.to_float(value, value);
      e.mul(value, value, c.scale);
      if (layout.submins) {
        add_minima(c, value, i, half);
      } else if (layout.sums_inputs()) {
        emit_min(e, layout, c.scale, tile_at(i), half);
        e.fma_broadcast(value, c.scale, x_numbers, c.temp);
      }
      e.fma_broadcast(sums[i], value, x_scales, c.scale);
    }
  }

  // value += float(sum of submin * subsum of x) * min
  void add_minima(const Codes& c, const V16& value, std::size_t i, int half) {
    const V16& isum = c.isums[i].front();
    e.zero(isum);
    for (int s = 0; s < layout.subgroups(); s += 2) {
      emit_submins(e, layout, c.scale, tile_at(i), s, half);
      e.broadcast(c.x.codes, x_numbers + s * numbers.bytes);
      e.dot_i16(isum, c.scale, c.x.codes, c.temp);
    }
    e.to_float(isum, isum);
    emit_min(e, layout, c.scale, tile_at(i), half);
    e.fma(value, isum, c.scale);
  }

  static constexpr int kStraightSteps = 32;
  static constexpr int kPartBytes = 32;  // of a 256-bit register
  static constexpr int kCacheLine = 64;

  const std::unique_ptr<const Dot> dot = Dot::choose(e, layout.sums16(), !by_halves());
};

}  // namespace

void generate_coded_matvec(Emitter& e, const MatvecKey& key) {
  CodedMatvec(e, key).generate();
}

}  // namespace llamajit::jit
