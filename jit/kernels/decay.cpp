#include "jit/kernels/decay.h"

#include <cstddef>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

class DecayGenerator {
 public:
  DecayGenerator(Emitter& emitter, const DecayKey& decay_key) : e(emitter), key(decay_key) {}

  void generate() {
    e.enter();
    e.mov(alpha, arg(offsetof(DecayArgs, alpha)));
    e.mov(dt, arg(offsetof(DecayArgs, dt)));
    e.mov(a, arg(offsetof(DecayArgs, a)));
    e.mov(beta, arg(offsetof(DecayArgs, beta)));
    e.mov(decay, arg(offsetof(DecayArgs, decay)));
    e.mov(rate, arg(offsetof(DecayArgs, rate)));
    e.repeat(count, key.heads / kLanes, [&] {
      gates(kLanes);
      for (const Reg64& pointer : {alpha, dt, a, beta, decay, rate}) e.add(pointer, kLanes * 4);
    });
    if (key.heads % kLanes != 0) gates(key.heads % kLanes);
    e.leave();
  }

 private:
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }

  // Of so many heads.
  void gates(int lanes) {
    e.note("alpha + dt");
    e.load_tail(x, alpha, lanes);
    e.load_tail(value, dt, lanes);
    e.add(x, x, value);
    emit_softplus(e, x, value, t0, t1, t2);
    e.note("decay = e^(a * softplus)");
    e.load_tail(value, a, lanes);
    e.mul(x, x, value);
    emit_exp(e, x, t0, t1);
    e.store_tail(decay, x, lanes);
    e.note("rate = sigmoid(beta)");
    e.load_tail(x, beta, lanes);
    emit_sigmoid(e, x, t0, t1);
    e.store_tail(rate, x, lanes);
  }

  Emitter& e;
  const DecayKey& key;
  const Reg64 alpha = e.gpr("alpha"), dt = e.gpr("dt"), a = e.gpr("a"), beta = e.gpr("beta");
  const Reg64 decay = e.gpr("decay"), rate = e.gpr("rate"), count = e.gpr("count");
  const V16 x = e.v16("x"), value = e.v16("value");
  const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
};

}  // namespace

void generate(Emitter& e, const DecayKey& key) {
  DecayGenerator(e, key).generate();
}

}  // namespace llamajit::jit
