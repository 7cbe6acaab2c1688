#include "jit/kernels/gate.h"

#include <cstddef>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/slice.h"

namespace llamajit::jit {

void generate(Emitter& e, const GateKey& key) {
  const Reg64 x = e.gpr("x"), gates = e.gpr("gates"), out = e.gpr("out");
  const Reg64 slice = e.gpr("slice"), vectors = e.gpr("vectors");
  const V16 gate = e.v16("gate"), value = e.v16("value");
  const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
  e.enter();
  e.mov(x, e.ptr[e.args() + offsetof(GateArgs, x)]);
  e.mov(gates, e.ptr[e.args() + offsetof(GateArgs, gates)]);
  e.mov(out, e.ptr[e.args() + offsetof(GateArgs, out)]);
  e.note("where the slice begins, and how many whole vectors it has");
  find_slice_at<GateArgs>(e, slice, vectors);
  const auto pass = [&](int lanes) {
    e.load_tail(gate, gates + slice, lanes);
    switch (key.kind) {
      case GateKind::sigmoid:
        emit_sigmoid(e, gate, t0, t1);
        break;
      case GateKind::silu:
        emit_silu(e, gate, t0, t1, t2);
        break;
      case GateKind::factor:
        break;
    }
    e.note("out = x * that");
    e.load_tail(value, x + slice, lanes);
    e.mul(value, value, gate);
    e.store_tail(out + slice, value, lanes);
  };
  e.while_at_least(vectors, 1, [&] {
    pass(kLanes);
    e.add(slice, kLanes * 4);
  });
  at_tail_of_slice<GateArgs>(e, key.n, [&] { pass(key.n % kLanes); });
  e.leave();
}

}  // namespace llamajit::jit
