#include "jit/kernels/route.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "jit/base/scalar_math.h"
#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

// The scratch holds p, c and the chosen weights, each in whole vectors. Who is chosen has -infinity in c,
// which nobody else has.
class RouteGenerator {
 public:
  RouteGenerator(Emitter& emitter, const RouteKey& route_key) : e(emitter), key(route_key) {}

  void generate() {
    e.enter();
    e.mov(p, arg(offsetof(RouteArgs, scratch)));
    e.lea(c, e.ptr[p + padded(key.experts) * 4]);
    gate();
    make_choosable();
    if (key.chooses_groups()) keep_best_groups();
    e.note("the {} largest", key.used);
    e.repeat(left, key.used, [&] { choose(c, key.experts); });
    list_chosen();
    weigh();
    if (key.shared != SharedExpert::none) weigh_shared();
    e.leave();
  }

 private:
  static int padded(int n) { return static_cast<int>(round_up(n, kLanes)); }
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }

  // Runs body(lanes) with `at` on each vector of n floats, from `first` on.
  template <class Body>
  void over(const Reg64& first, int n, Body body) {
    e.mov(at, first);
    e.repeat(count, n / kLanes, [&] {
      body(kLanes);
      e.add(at, kLanes * 4);
    });
    if (n % kLanes != 0) body(n % kLanes);
  }

  void gate() {
    e.note("p = the logits, -inf behind them");
    e.mov(index, arg(offsetof(RouteArgs, logits)));
    over(p, key.experts, [&](int lanes) {
      e.load_tail(value, index, lanes, f32(-kInfinity));
      if (key.gating == Gating::sigmoid) emit_sigmoid(e, value, t0, t1);
      e.store(at, value);
      e.add(index, kLanes * 4);
    });
    if (key.gating == Gating::softmax) softmax(p, key.experts, true);
  }

  // Of n floats with -infinity behind them in their last vector, in place.
  void softmax(const Reg64& first, int n, bool divides) {
    e.note("the maximum");
    e.broadcast(acc, f32(-kInfinity));
    over(first, padded(n), [&](int) {
      e.load(value, at);
      e.max(acc, acc, value);
    });
    e.broadcast_lane0(best, e.fold_max(acc, value));
    e.note("e^(x - maximum), and their sum");
    e.zero(acc);
    over(first, padded(n), [&](int) {
      e.load(value, at);
      e.sub(value, value, best);
      emit_exp(e, value, t0, t1);
      e.store(at, value);
      e.add(acc, acc, value);
    });
    if (divides) divide_by_sum(first, n);
  }

  // Each times 1 / (the sum of the lanes of acc).
  void divide_by_sum(const Reg64& first, int n) {
    emit_inverse_sum(e, best, acc, value);
    over(first, padded(n), [&](int) {
      e.load(value, at);
      e.mul(value, value, best);
      e.store(at, value);
    });
    e.name(best, "best");
  }

  void make_choosable() {
    e.note("c = p{}, at least the lowest float; -inf behind it", key.biased ? " + bias" : "");
    if (key.biased) e.mov(index, arg(offsetof(RouteArgs, bias)));
    e.mov(temp, c);
    over(p, key.experts, [&](int lanes) {
      e.load(value, at);
      if (key.biased) {
        e.load_tail(t0, index, lanes);
        e.add(value, value, t0);
        e.add(index, kLanes * 4);
      }
      e.max(value, value, f32(std::numeric_limits<float>::lowest()));
      if (lanes < kLanes) e.fill_tail(value, lanes, f32(-kInfinity));
      e.store(temp, value);
      e.add(temp, kLanes * 4);
    });
  }

  // Leaves the experts of the groups that are not chosen the lowest float.
  void keep_best_groups() {
    e.note("each group's {}", key.by_best ? "largest c" : "two largest c, summed");
    e.lea(chosen, e.ptr[c + (padded(key.experts) + padded(key.used)) * 4]);
    e.broadcast(value, f32(-kInfinity));
    e.store(chosen + (padded(key.groups) - kLanes) * 4, value);
    e.mov(temp, chosen);
    e.mov(at, c);
    e.repeat(count, key.groups, [&] {
      score_group();
      e.add(temp, 4);
    });
    e.note("the {} best groups", key.groups_used);
    e.repeat(left, key.groups_used, [&] { choose(chosen, key.groups); });
    e.note("the lowest float for experts of others");
    e.mov(temp, chosen);
    e.mov(at, c);
    e.repeat(count, key.groups, [&] {
      Xbyak::Label skip;
      e.cmp(e.dword[temp], f32(-kInfinity).bits);
      e.je(skip, Emitter::T_NEAR);
      e.repeat(left, group_size(), [&] {
        e.mov(e.dword[at], f32(std::numeric_limits<float>::lowest()).bits);
        e.add(at, 4);
      });
      e.sub(at, group_size() * 4);
      e.L(skip, "group_chosen");
      e.add(at, group_size() * 4);
      e.add(temp, 4);
    });
  }
  int group_size() const { return key.experts / key.groups; }

  // The first and the second of those at `at`, which moves on, and their sum to `temp`.
  void score_group() {
    const Xbyak::Xmm first = xmm_of(value.part[0]), second = xmm_of(acc.part[0]), x = xmm_of(t0.part[0]),
                     less = xmm_of(t1.part[0]);
    e.vmovss(first, e.constant(f32(-kInfinity)));
    e.vmovss(second, e.constant(f32(-kInfinity)));
    e.repeat(left, group_size(), [&] {
      e.vmovss(x, e.ptr[at]);
      e.vminss(less, x, first);
      e.vmaxss(second, less, second);
      e.vmaxss(first, x, first);
      e.add(at, 4);
    });
    if (!key.by_best) e.vaddss(first, first, second);
    e.vmaxss(first, first, e.constant(f32(std::numeric_limits<float>::lowest())));
    e.vmovss(e.ptr[temp], first);
  }

  // Marks the first of the largest of n floats.
  void choose(const Reg64& from, int n) {
    Xbyak::Label next, found;
    e.broadcast(acc, f32(-kInfinity));
    over(from, padded(n), [&](int) { e.max(acc, acc, at); });
    e.broadcast_lane0(best, e.fold_max(acc, value));
    e.mov(at, from);
    e.L(next, "find");
    e.load(value, at);
    e.equal_mask(index, temp, value, best);
    e.test(index.cvt32(), index.cvt32());
    e.jnz(found, Emitter::T_NEAR);
    e.add(at, kLanes * 4);
    e.jmp(next, Emitter::T_NEAR);
    e.L(found, "found");
    e.bsf(index, index);
    e.mov(e.dword[at + index * 4], f32(-kInfinity).bits);
  }

  // ids and the weights of those that are marked, in ascending order; -inf, or zeros, behind the weights.
  void list_chosen() {
    Xbyak::Label next, skip;
    e.note("ids of the chosen, and their p");
    e.lea(chosen, e.ptr[c + padded(key.experts) * 4]);
    const bool of_chosen = key.gating == Gating::softmax_of_chosen;
    e.broadcast(value, of_chosen ? f32(-kInfinity) : f32(0.0F));
    e.store(chosen + (padded(key.used) - kLanes) * 4, value);
    e.mov(temp, arg(offsetof(RouteArgs, ids)));
    e.mov(at, chosen);
    e.xor_(index, index);
    e.L(next, "next_expert");
    e.cmp(e.dword[c + index * 4], f32(-kInfinity).bits);
    e.jne(skip, Emitter::T_NEAR);
    e.mov(e.ptr[temp], index.cvt32());
    e.mov(e.scratch().cvt32(), e.ptr[p + index * 4]);
    e.mov(e.ptr[at], e.scratch().cvt32());
    e.add(temp, 4);
    e.add(at, 4);
    e.L(skip, "not_chosen");
    e.inc(index);
    e.cmp(index, key.experts);
    e.jl(next, Emitter::T_NEAR);
  }

  void weigh() {
    if (key.gating == Gating::softmax_of_chosen) softmax(chosen, key.used, true);
    if (key.renormalises) {
      e.note("divided by their sum");
      e.zero(acc);
      over(chosen, padded(key.used), [&](int) {
        e.load(value, at);
        e.add(acc, acc, value);
      });
      e.broadcast_lane0(best, e.fold_add(acc, value));
      over(chosen, padded(key.used), [&](int) {
        e.load(value, at);
        e.div(value, value, best);
        e.store(at, value);
      });
    }
    e.note("weights = those * {}", key.scale);
    e.mov(temp, arg(offsetof(RouteArgs, weights)));
    over(chosen, key.used, [&](int lanes) {
      e.load(value, at);
      e.mul(value, value, f32(key.scale));
      e.store_tail(temp, value, lanes);
      e.add(temp, kLanes * 4);
    });
    if (key.scaled) scale_each();
  }

  void scale_each() {
    e.note("each times its expert's scale");
    const Xbyak::Xmm weight = xmm_of(value.part[0]);
    e.mov(at, arg(offsetof(RouteArgs, ids)));
    e.mov(temp, arg(offsetof(RouteArgs, weights)));
    e.mov(chosen, arg(offsetof(RouteArgs, scales)));
    e.repeat(count, key.used, [&] {
      e.mov(index.cvt32(), e.ptr[at]);
      e.vmovss(weight, e.ptr[temp]);
      e.vmulss(weight, weight, e.ptr[chosen + index * 4]);
      e.vmovss(e.ptr[temp], weight);
      e.add(at, 4);
      e.add(temp, 4);
    });
  }

  void weigh_shared() {
    e.mov(temp, arg(offsetof(RouteArgs, weights)));
    if (key.shared == SharedExpert::plain) {
      e.note("the shared expert's weight");
      e.mov(e.dword[temp + key.used * 4], f32(1.0F).bits);
      return;
    }
    e.mov(at, arg(offsetof(RouteArgs, shared_logit)));
    e.broadcast(value, at);
    emit_sigmoid(e, value, t0, t1);
    e.note("the shared expert's weight");
    e.vmovss(e.ptr[temp + key.used * 4], xmm_of(value.part[0]));
  }

  Emitter& e;
  const RouteKey& key;
  const Reg64 p = e.gpr("p"), c = e.gpr("c"), chosen = e.gpr("chosen");
  const Reg64 at = e.gpr("at"), count = e.gpr("count"), index = e.gpr("index"), temp = e.gpr("temp");
  const Reg64 left = e.gpr("left");
  const V16 value = e.v16("value"), acc = e.v16("acc"), best = e.uniform16("best");
  const V16 t0 = e.v16("t0"), t1 = e.v16("t1");
};

}  // namespace

void generate(Emitter& e, const RouteKey& key) {
  RouteGenerator(e, key).generate();
}

}  // namespace llamajit::jit
