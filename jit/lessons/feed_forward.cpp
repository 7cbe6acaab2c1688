#include <cstddef>

#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {

void reference(const LessonFeedForwardKey& key, const LessonFeedForwardArgs& args) {
  for (int i = 0; i < key.n; ++i) args.out[i] = fused(args.h[i], args.w[i], args.x[i] + args.h[i]);
}

void generate(Emitter& e, const LessonFeedForwardKey& key) {
  const Reg64 x = e.gpr("x"), h = e.gpr("h"), w = e.gpr("w"), out = e.gpr("out"), count = e.gpr("count");
  const V16 stream = e.v16("stream"), hidden = e.v16("hidden"), weight = e.v16("weight");
  e.enter();
  e.note("where the numbers are");
  e.mov(x, e.ptr[e.args() + offsetof(LessonFeedForwardArgs, x)]);
  e.mov(h, e.ptr[e.args() + offsetof(LessonFeedForwardArgs, h)]);
  e.mov(w, e.ptr[e.args() + offsetof(LessonFeedForwardArgs, w)]);
  e.mov(out, e.ptr[e.args() + offsetof(LessonFeedForwardArgs, out)]);
  over_vector(e, count, key.n, 1, {{x}, {h}, {w}, {out}}, [&](int /*way*/, int lanes) {
    e.note("the residual connection, x + h, in {} of 16 lanes", lanes);
    if (lanes < kLanes) e.prepare_tail(lanes);
    e.load_tail(stream, x, lanes);
    e.load_tail(hidden, h, lanes);
    e.add(stream, stream, hidden);
    e.note("the feed-forward, h * w, added to it before it is rounded");
    e.load_tail(weight, w, lanes);
    e.fma(stream, hidden, weight);
    e.store_tail(out, stream, lanes);
  });
  e.leave();
}

}  // namespace llamajit::jit
