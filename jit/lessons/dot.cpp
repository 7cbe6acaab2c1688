#include <cstddef>

#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {

void reference(const LessonDotKey& key, const LessonDotArgs& args) {
  *args.out = lesson_sum(key.n, lesson_ways(key.n),
                         [&](int i, float sum) { return fused(args.a[i], args.b[i], sum); });
}

void generate(Emitter& e, const LessonDotKey& key) {
  const int ways = lesson_ways(key.n);
  const Reg64 a = e.gpr("a"), b = e.gpr("b"), out = e.gpr("out"), count = e.gpr("count");
  const V16 value = e.v16("value"), other = e.v16("other");
  const std::vector<V16> sums = e.v16s(ways, "sums[way]");
  e.enter();
  e.note("where the numbers are");
  e.mov(a, e.ptr[e.args() + offsetof(LessonDotArgs, a)]);
  e.mov(b, e.ptr[e.args() + offsetof(LessonDotArgs, b)]);
  e.mov(out, e.ptr[e.args() + offsetof(LessonDotArgs, out)]);
  for (const V16& sum : sums) e.zero(sum);
  over_vector(e, count, key.n, ways, {{a}, {b}}, [&](int way, int lanes) {
    const int offset = way * kLanes * 4;
    e.note("sum += a * b in {} of 16 lanes", lanes);
    if (lanes < kLanes) e.prepare_tail(lanes);
    e.load_tail(value, a + offset, lanes);
    e.load_tail(other, b + offset, lanes);
    e.fma(sums[static_cast<std::size_t>(way)], value, other);
  });
  add_ways(e, sums);
  const Vec sum = e.fold_add(sums[0], value);
  e.note("lane 0 is the result");
  e.vmovss(e.ptr[out], sum);
  e.leave();
}

}  // namespace llamajit::jit
