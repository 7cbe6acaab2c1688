#include "jit/kernels/cap.h"

#include <cstddef>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/slice.h"

namespace llamajit::jit {

void generate(Emitter& e, const CapKey& key) {
  const Reg64 x = e.gpr("x"), vectors = e.gpr("vectors");
  const V16 value = e.v16("value"), t0 = e.v16("t0"), t1 = e.v16("t1");
  e.enter();
  e.note("x of the slice, and how many whole vectors it has");
  find_slice<CapArgs>(e, x, vectors, offsetof(CapArgs, x));
  const auto cap = [&](int lanes) {
    e.load_tail(value, x, lanes);
    emit_cap(e, value, key.cap, t0, t1);
    e.store_tail(x, value, lanes);
  };
  e.while_at_least(vectors, 1, [&] {
    cap(kLanes);
    e.add(x, kLanes * 4);
  });
  at_tail_of_slice<CapArgs>(e, key.n, [&] { cap(key.n % kLanes); });
  e.leave();
}

}  // namespace llamajit::jit
