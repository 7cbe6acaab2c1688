#include "jit/emit/dot.h"

#include <string>

namespace llamajit::jit {
namespace {

// A member's role, where the whole has one.
std::string part_of(std::string_view role, std::string_view part) {
  return role.empty() ? "" : std::string(role).append(part);
}

// Calls op(part) for each register of `v`.
template <class Op>
void each_part(const V16& v, Op op) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(v.parts); ++p) op(p);
}

class DotByInstruction : public Dot {
 public:
  using Dot::Dot;

  bool needs_temp() const override { return false; }

  void start(const V16& acc, const std::optional<RegExp>& offset) const override {
    offset ? e.broadcast(acc, *offset) : e.zero(acc);
  }

  void add(const V16& acc, const Weights& w, const Inputs& x, const V16& /*temp*/,
           const Run& /*run*/) const override {
    each_part(acc, [&](std::size_t p) { e.vpdpbusd(acc.part[p], w.codes.part[p], x.codes.part[0]); });
  }

  void add_broadcast(const V16& acc, const Weights& w, const RegExp& from, const Inputs& x, const V16& temp,
                     const Run& run) const override {
    if (!e.isa().wide()) return Dot::add_broadcast(acc, w, from, x, temp, run);
    e.vpdpbusd(acc.part[0], w.codes.part[0], e.ptr_b[from]);
  }
};

// vpmaddubsw adds two products in 16 bits, where those of codes below 128 have room. Their sums stay there
// for a whole subgroup, on 256-bit tiers also for runs of some steps; others are widened at each step.
class DotIn16Bits : public Dot {
 public:
  DotIn16Bits(Emitter& emitter, Sums16 sums, bool is_whole)
      : Dot(emitter, is_whole), narrow(sums == Sums16::subgroup), run_steps(steps_of_run(emitter, sums)) {}

  bool needs_run() const override { return run_steps > 1; }

  void start(const V16& acc, const std::optional<RegExp>& offset) const override {
    offset && !narrow ? e.broadcast(acc, *offset) : e.zero(acc);
  }

  void add(const V16& acc, const Weights& w, const Inputs& x, const V16& temp,
           const Run& run) const override {
    if (narrow) {
      each_part(acc, [&](std::size_t p) {
        e.vpmaddubsw(temp.part[p], w.codes.part[p], x.codes.part[0]);
        e.vpaddw(acc.part[p], acc.part[p], temp.part[p]);
      });
      return;
    }
    const V16& sum = needs_run() ? run.sum : temp;
    const bool first = run.step % run_steps == 0;
    const bool last = run.step % run_steps == run_steps - 1 || run.step == run.steps - 1;
    each_part(acc, [&](std::size_t p) {
      const Vec& pairs = sum.part[p];
      e.vpmaddubsw(first ? pairs : temp.part[p], w.codes.part[p], x.codes.part[0]);
      if (!first) e.vpaddw(pairs, pairs, temp.part[p]);
      if (!last) return;
      e.vpmaddwd(pairs, pairs, e.constant(kOnePairs));
      e.vpaddd(acc.part[p], acc.part[p], pairs);
    });
  }

  void combine(const V16& to, const V16& a, const V16& b) const override {
    if (!narrow) return Dot::combine(to, a, b);
    each_part(to, [&](std::size_t p) { e.vpaddw(to.part[p], a.part[p], b.part[p]); });
  }

  void finish(const V16& acc, const std::optional<RegExp>& offset, const V16& temp) const override {
    if (!narrow) return;
    each_part(acc, [&](std::size_t p) { e.vpmaddwd(acc.part[p], acc.part[p], e.constant(kOnePairs)); });
    if (!offset) return;
    e.broadcast(temp, *offset);
    e.add_i32(acc, acc, temp);
  }

 private:
  static int steps_of_run(const Emitter& e, Sums16 sums) {
    if (e.isa().wide()) return 1;
    return sums == Sums16::two_steps ? 2 : sums == Sums16::four_steps ? 4 : 1;
  }

  const bool narrow;
  const int run_steps;
};

// Codes with 128 for zero are made signed: |w| times the activation that has taken w's sign is at most
// 128 * 127 * 2, which 16 bits hold, and nothing needs correction.
class DotBySigns : public Dot {
 public:
  using Dot::Dot;

  Weights weights(int index, std::string_view role) const override {
    Weights w = Dot::weights(index, role);
    if (e.isa().wide()) {
      e.name(w.negative, part_of(role, ".negative"));
    } else {
      w.signs = take(part_of(role, ".signed"));
    }
    return w;
  }

  Inputs inputs(std::string_view role) const override {
    Inputs x = Dot::inputs(role);
    if (e.isa().wide()) x.negated = e.uniform16(part_of(role, ".negated"));
    return x;
  }

  void make_ready(const Weights& w) const override {
    const Const zero_point{0x80808080};
    each_part(w.codes, [&](std::size_t p) {
      const Vec& codes = w.codes.part[p];
      if (e.isa().wide()) {
        e.vpxord(codes, codes, e.constant(zero_point));
        e.vpmovb2m(w.negative, codes);
        e.vpabsb(codes, codes);
      } else {
        e.vpxor(w.signs.part[p], codes, e.constant(zero_point));
        e.vpabsb(codes, w.signs.part[p]);
      }
    });
  }

  void broadcast(const Inputs& to, const RegExp& from) const override {
    Dot::broadcast(to, from);
    if (!e.isa().wide()) return;
    const Vec& negated = to.negated.part[0];
    e.vpxord(negated, negated, negated);
    e.vpsubb(negated, negated, to.codes.part[0]);
  }

  void start(const V16& acc, const std::optional<RegExp>& /*offset*/) const override { e.zero(acc); }

  void add(const V16& acc, const Weights& w, const Inputs& x, const V16& temp,
           const Run& /*run*/) const override {
    each_part(acc, [&](std::size_t p) {
      const Vec& products = temp.part[p];
      if (e.isa().wide()) {
        e.vpblendmb(products | w.negative, x.codes.part[0], x.negated.part[0]);
      } else {
        e.vpsignb(products, x.codes.part[0], w.signs.part[p]);
      }
      e.vpmaddubsw(products, w.codes.part[p], products);
      e.vpmaddwd(products, products, e.constant(kOnePairs));
      e.vpaddd(acc.part[p], acc.part[p], products);
    });
  }
};

}  // namespace

std::unique_ptr<const Dot> Dot::choose(Emitter& emitter, Sums16 sums, bool whole) {
  if (emitter.isa().has_dot()) return std::make_unique<DotByInstruction>(emitter, whole);
  if (sums != Sums16::none) return std::make_unique<DotIn16Bits>(emitter, sums, whole);
  return std::make_unique<DotBySigns>(emitter, whole);
}

Dot::Weights Dot::weights(int index, std::string_view role) const {
  return {take(role), V16(), Emitter::dot_mask(index)};
}

Dot::Inputs Dot::inputs(std::string_view role) const {
  return {e.uniform16(role), V16()};
}

void Dot::load(const Weights& to, const RegExp& from) const {
  e.load(to.codes, from);
  make_ready(to);
}

void Dot::broadcast(const Inputs& to, const RegExp& from) const {
  e.vpbroadcastd(to.codes.part[0], e.ptr[from]);
}

void Dot::add_broadcast(const V16& acc, const Weights& w, const RegExp& from, const Inputs& x,
                        const V16& temp, const Run& run) const {
  broadcast(x, from);
  add(acc, w, x, temp, run);
}

}  // namespace llamajit::jit
