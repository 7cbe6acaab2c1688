#include "jit/base/scalar_math.h"
#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

class SoftmaxGenerator {
 public:
  SoftmaxGenerator(Emitter& emitter, const SoftmaxKey& softmax_key) : e(emitter), key(softmax_key) {}

  void generate() {
    e.enter();
    e.mov(x, e.ptr[e.args() + offsetof(SoftmaxArgs, x)]);
    e.broadcast(scale, e.args() + offsetof(SoftmaxArgs, scale));
    e.note("the maximum of x * scale");
    e.broadcast(acc, f32(-kInfinity));
    over_vector([&](int lanes) {
      load_scaled(lanes);
      e.max(acc, acc, value);
    });
    e.broadcast_lane0(maximum, e.fold_max(acc, value));
    e.note("x = exp(x * scale - maximum), and the sum of that");
    e.name(acc, "sum");
    e.zero(acc);
    over_vector([&](int lanes) {
      load_scaled(lanes);
      e.sub(value, value, maximum);
      emit_exp(e, value, t0, t1);
      e.add(acc, acc, value);
      e.store_tail(at, value, lanes);
    });
    emit_inverse_sum(e, inverse, acc, t0);
    e.note("x *= inverse");
    over_vector([&](int lanes) {
      e.load_tail(value, at, lanes);
      e.mul(value, value, inverse);
      e.store_tail(at, value, lanes);
    });
    e.leave();
  }

 private:
  // Runs body(lanes) with `at` on each vector in turn.
  template <class Body>
  void over_vector(Body body) {
    e.mov(at, x);
    e.repeat(count, key.n / kLanes, [&] {
      body(kLanes);
      e.add(at, kLanes * 4);
    });
    // repeat() runs a single turn straight, and `at` has moved all the same.
    if (key.n % kLanes != 0) body(key.n % kLanes);
  }

  // value = x * scale; lanes beyond the end are -infinity, which no maximum notices and whose exponential is
  // lost in any sum that holds the maximum's own 1.
  void load_scaled(int lanes) {
    e.load_tail(value, at, lanes);
    e.mul(value, value, scale);
    if (lanes < kLanes) e.fill_tail(value, lanes, f32(-kInfinity));
  }

  Emitter& e;
  const SoftmaxKey& key;
  const Reg64 x = e.gpr("x"), at = e.gpr("at"), count = e.gpr("count");
  const V16 value = e.v16("value"), acc = e.v16("largest"), t0 = e.v16("t0"), t1 = e.v16("t1");
  const V16 scale = e.uniform16("scale"), maximum = e.uniform16("maximum");
  const V16& inverse = maximum;
};

}  // namespace

void generate(Emitter& e, const SoftmaxKey& key) {
  SoftmaxGenerator(e, key).generate();
}

}  // namespace llamajit::jit
