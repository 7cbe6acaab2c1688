#include <limits>

#include "jit/generators.h"

namespace llamajit::jit {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Two passes: the maximum, then the first place where it stands.
class ArgmaxGenerator {
 public:
  ArgmaxGenerator(Emitter& emitter, const ArgmaxKey& argmax_key) : e(emitter), key(argmax_key) {}

  void generate() {
    e.enter();
    e.mov(x, e.ptr[e.args() + offsetof(ArgmaxArgs, x)]);
    maximum();
    first_place();
    e.mov(at, e.ptr[e.args() + offsetof(ArgmaxArgs, index)]);
    e.mov(e.ptr[at], index.cvt32());
    e.leave();
  }

 private:
  static constexpr int kWays = 4;

  void maximum() {
    const int step = kWays * kLanes;
    for (const V16& way : ways) e.broadcast(way, f32(-kInfinity));
    const auto take = [&](int i, int lanes) {
      e.load_tail(value, at + i * kLanes * 4, lanes, f32(-kInfinity));
      const V16& way = ways[static_cast<std::size_t>(i)];
      e.max(way, value, way);  // a NaN is passed over
    };
    e.mov(at, x);
    e.repeat(count, key.n / step, [&] {
      for (int i = 0; i < kWays; ++i) take(i, kLanes);
      e.add(at, step * 4);
    });
    for (int i = 0; i * kLanes < key.n % step; ++i) take(i, std::min(kLanes, key.n % step - i * kLanes));
    e.max(ways[0], ways[0], ways[1]);
    e.max(ways[2], ways[2], ways[3]);
    e.max(ways[0], ways[0], ways[2]);
    e.broadcast_lane0(best, e.fold_max(ways[0], value));
  }

  // index = the first i with x[i] == best; 0 where best is -infinity, as nothing is greater than that.
  void first_place() {
    Xbyak::Label search, found, done;
    e.xor_(index, index);
    e.mov(at, x);
    e.vmovd(e.scratch().cvt32(), Xbyak::Xmm(best.part[0].getIdx()));
    e.cmp(e.scratch().cvt32(), static_cast<std::uint32_t>(f32(-kInfinity).bits));
    e.je(done, Emitter::T_NEAR);
    const int whole = key.n / kLanes;
    if (whole > 0) {
      e.mov(count, whole);
      e.L(search);
      e.load(value, at);
      e.equal_mask(e.scratch(), temp, value, best);
      e.test(e.scratch().cvt32(), e.scratch().cvt32());
      e.jnz(found, Emitter::T_NEAR);
      e.add(at, kLanes * 4);
      e.dec(count);
      e.jnz(search);
    }
    if (key.n % kLanes != 0) {
      e.load_tail(value, at, key.n % kLanes, f32(-kInfinity));
      e.equal_mask(e.scratch(), temp, value, best);
    }
    e.L(found);
    e.bsf(index, e.scratch());
    e.sub(at, x);
    e.shr(at, 2);
    e.add(index, at);
    e.L(done);
  }

  Emitter& e;
  const ArgmaxKey& key;
  const Reg64 x = e.gpr(), at = e.gpr(), count = e.gpr(), index = e.gpr(), temp = e.gpr();
  const V16 value = e.v16(), best = e.uniform16();
  const std::vector<V16> ways = e.v16s(kWays);
};

}  // namespace

void generate(Emitter& e, const ArgmaxKey& key) {
  ArgmaxGenerator(e, key).generate();
}

}  // namespace llamajit::jit
