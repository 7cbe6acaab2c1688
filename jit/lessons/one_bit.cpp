#include <cstddef>

#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {

void reference(const LessonOneBitKey& key, const LessonOneBitArgs& args) {
  const float sum = lesson_sum(key.n, lesson_ways(key.n), [&](int i, float acc) {
    const bool negative = (args.signs[i / kLanes] >> (i % kLanes) & 1) != 0;
    return acc + (negative ? -args.x[i] : args.x[i]);
  });
  *args.out = sum * args.scale;
}

void generate(Emitter& e, const LessonOneBitKey& key) {
  constexpr int kWordBytes = 2;
  const int ways = lesson_ways(key.n);
  const Reg64 signs = e.gpr("signs"), x = e.gpr("x"), out = e.gpr("out"), count = e.gpr("count");
  const V16 value = e.v16("value");
  const std::vector<V16> sums = e.v16s(ways, "sums[way]");
  e.enter();
  e.note("where the numbers are");
  e.mov(signs, e.ptr[e.args() + offsetof(LessonOneBitArgs, signs)]);
  e.mov(x, e.ptr[e.args() + offsetof(LessonOneBitArgs, x)]);
  e.mov(out, e.ptr[e.args() + offsetof(LessonOneBitArgs, out)]);
  for (const V16& sum : sums) e.zero(sum);
  over_vector(e, count, key.n, ways, {{signs, kWordBytes}, {x}}, [&](int way, int lanes) {
    const V16& sum = sums[static_cast<std::size_t>(way)];
    e.note("x with its sign flipped where the weight's bit is set, {} of 16 lanes", lanes);
    if (lanes < kLanes) e.prepare_tail(lanes);
    e.load_tail(value, x + way * kLanes * 4, lanes);
    e.flip_signs(value, signs + way * kWordBytes);
    e.add(sum, sum, value);
  });
  add_ways(e, sums);
  const Vec sum = e.fold_add(sums[0], value);
  e.note("the scale, once for all weights");
  e.vmulss(sum, sum, e.ptr[e.args() + offsetof(LessonOneBitArgs, scale)]);
  e.vmovss(e.ptr[out], sum);
  e.leave();
}

}  // namespace llamajit::jit
