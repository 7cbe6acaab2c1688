#include "jit/kernels/copy.h"

#include <cstddef>

#include "jit/kernels/generators.h"

namespace llamajit::jit {

void generate(Emitter& e, const CopyKey& key) {
  const Reg64 x = e.gpr("x"), out = e.gpr("out"), count = e.gpr("count");
  const V16 value = e.v16("value");
  e.enter();
  e.mov(x, e.ptr[e.args() + offsetof(CopyArgs, x)]);
  e.mov(out, e.ptr[e.args() + offsetof(CopyArgs, out)]);
  const auto copy = [&](int lanes) {
    e.load_tail(value, x, lanes);
    e.store_tail(out, value, lanes);
  };
  e.repeat(count, key.n / kLanes, [&] {
    copy(kLanes);
    e.add(x, kLanes * 4);
    e.add(out, kLanes * 4);
  });
  if (key.n % kLanes != 0) copy(key.n % kLanes);
  e.leave();
}

}  // namespace llamajit::jit
