#include <algorithm>
#include <cstddef>

#include "jit/base/scalar_math.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/slice.h"

namespace llamajit::jit {
namespace {

// Two passes: the maximum, then the first place where it stands.
class ArgmaxGenerator {
 public:
  ArgmaxGenerator(Emitter& emitter, const ArgmaxKey& argmax_key) : e(emitter), key(argmax_key) {}

  void generate() {
    e.enter();
    e.note("x of the slice, and how many whole vectors it has");
    find_slice<ArgmaxArgs>(e, x, vectors, offsetof(ArgmaxArgs, x));
    maximum();
    first_place();
    e.mov(at, e.ptr[e.args() + offsetof(ArgmaxArgs, best)]);
    e.vmovss(e.ptr[at + offsetof(Best, value)], Xbyak::Xmm(best.part[0].getIdx()));
    e.mov(e.ptr[at + offsetof(Best, index)], index.cvt32());
    e.leave();
  }

 private:
  int tail() const { return key.n % kLanes; }

  template <class Body>
  void at_tail(Body body) {
    at_tail_of_slice<ArgmaxArgs>(e, key.n, body);
  }

  void take(int i, int lanes) {
    e.load_tail(value, at + i * kLanes * 4, lanes, f32(-kInfinity));
    const V16& way = ways[static_cast<std::size_t>(i)];
    e.max(way, value, way);  // a NaN is passed over
  }

  void maximum() {
    e.note("the largest, {} ways", kWays);
    for (const V16& way : ways) e.broadcast(way, f32(-kInfinity));
    e.mov(at, x);
    e.mov(count, vectors);
    e.while_at_least(count, kWays, [&] {
      for (int i = 0; i < kWays; ++i) take(i, kLanes);
      e.add(at, kWays * kLanes * 4);
    });
    e.while_at_least(count, 1, [&] {
      take(0, kLanes);
      e.add(at, kLanes * 4);
    });
    at_tail([&] { take(0, tail()); });
    e.note("the ways' largest");
    e.max(ways[0], ways[0], ways[1]);
    e.max(ways[2], ways[2], ways[3]);
    e.max(ways[0], ways[0], ways[2]);
    e.broadcast_lane0(best, e.fold_max(ways[0], value));
  }

  // index = the first i with x[i] == best; the slice's first where best is -infinity, as nothing is greater
  // than that.
  void first_place() {
    Xbyak::Label found, done;
    e.note("the first place where it stands");
    e.mov(index, e.ptr[e.args() + offsetof(ArgmaxArgs, begin)]);
    e.vmovd(e.scratch().cvt32(), Xbyak::Xmm(best.part[0].getIdx()));
    e.cmp(e.scratch().cvt32(), static_cast<std::uint32_t>(f32(-kInfinity).bits));
    e.je(done, Emitter::T_NEAR);
    e.mov(at, x);
    e.mov(count, vectors);
    e.while_at_least(count, 1, [&] {
      e.load(value, at);
      e.equal_mask(e.scratch(), temp, value, best);
      e.test(e.scratch().cvt32(), e.scratch().cvt32());
      e.jnz(found, Emitter::T_NEAR);
      e.add(at, kLanes * 4);
    });
    at_tail([&] {
      e.load_tail(value, at, tail(), f32(-kInfinity));
      e.equal_mask(e.scratch(), temp, value, best);
    });
    e.L(found, "found");
    e.bsf(e.scratch(), e.scratch());
    e.vmovss(Xbyak::Xmm(best.part[0].getIdx()),
             e.ptr[at + e.scratch() * 4]);  // of equal zeros, the sign of the first
    e.add(index, e.scratch());
    e.sub(at, x);
    e.shr(at, 2);
    e.add(index, at);
    e.L(done, "done");
  }

  static constexpr int kWays = 4;

  Emitter& e;
  const ArgmaxKey& key;
  const Reg64 x = e.gpr("x"), at = e.gpr("at"), count = e.gpr("count"), index = e.gpr("index");
  const Reg64 temp = e.gpr("temp"), vectors = e.gpr("vectors");
  const V16 value = e.v16("value"), best = e.uniform16("best");
  const std::vector<V16> ways = e.v16s(kWays, "largest[way]");
};

}  // namespace

void generate(Emitter& e, const ArgmaxKey& key) {
  ArgmaxGenerator(e, key).generate();
}

}  // namespace llamajit::jit
