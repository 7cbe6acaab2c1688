#include <cstddef>

#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {

void reference(const LessonAddKey& key, const LessonAddArgs& args) {
  for (int i = 0; i < key.n; ++i) args.out[i] = args.a[i] + args.b[i];
}

void generate(Emitter& e, const LessonAddKey& key) {
  const Reg64 a = e.gpr("a"), b = e.gpr("b"), out = e.gpr("out"), count = e.gpr("count");
  const V16 value = e.v16("value"), other = e.v16("other");
  e.enter();
  e.note("where the numbers are");
  e.mov(a, e.ptr[e.args() + offsetof(LessonAddArgs, a)]);
  e.mov(b, e.ptr[e.args() + offsetof(LessonAddArgs, b)]);
  e.mov(out, e.ptr[e.args() + offsetof(LessonAddArgs, out)]);
  over_vector(e, count, key.n, 1, {{a}, {b}, {out}}, [&](int /*way*/, int lanes) {
    e.note("out = a + b in {} of 16 lanes", lanes);
    if (lanes < kLanes) e.prepare_tail(lanes);
    e.load_tail(value, a, lanes);
    e.load_tail(other, b, lanes);
    e.add(value, value, other);
    e.store_tail(out, value, lanes);
  });
  e.leave();
}

}  // namespace llamajit::jit
