#include <cstddef>

#include "jit/emit/emitter.h"
#include "jit/kernels/generators.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {

void reference(const LessonStateKey& key, const LessonStateArgs& args) {
  float state = 0;
  for (int t = 0; t < key.n; ++t) {
    const float missing = args.v[t] - args.k[t] * state;
    state = fused(args.k[t], missing, state);
    args.states[t] = state;
    args.out[t] = args.q[t] * state;
  }
}

// A state of one number keeps one lane busy.
void generate(Emitter& e, const LessonStateKey& key) {
  const Reg64 q = e.gpr("q"), k = e.gpr("k"), v = e.gpr("v"), states = e.gpr("states"), out = e.gpr("out");
  const Reg64 count = e.gpr("count");
  const Vec state = e.uniform16("state").part[0], k_t = e.uniform16("k_t").part[0];
  const Vec missing = e.uniform16("missing").part[0], result = e.uniform16("result").part[0];
  e.enter();
  e.note("where the numbers are");
  e.mov(q, e.ptr[e.args() + offsetof(LessonStateArgs, q)]);
  e.mov(k, e.ptr[e.args() + offsetof(LessonStateArgs, k)]);
  e.mov(v, e.ptr[e.args() + offsetof(LessonStateArgs, v)]);
  e.mov(states, e.ptr[e.args() + offsetof(LessonStateArgs, states)]);
  e.mov(out, e.ptr[e.args() + offsetof(LessonStateArgs, out)]);
  e.note("nothing is known yet");
  e.vxorps(xmm_of(state), xmm_of(state), xmm_of(state));
  e.repeat(count, key.n, [&] {
    e.note("what the state says of k, and what is missing of v");
    e.vmovss(xmm_of(k_t), e.ptr[k]);
    e.vmulss(xmm_of(result), xmm_of(k_t), xmm_of(state));
    e.vmovss(xmm_of(missing), e.ptr[v]);
    e.vsubss(xmm_of(missing), xmm_of(missing), xmm_of(result));
    e.note("the state learns it");
    e.vfmadd231ss(xmm_of(state), xmm_of(k_t), xmm_of(missing));
    e.vmovss(e.ptr[states], xmm_of(state));
    e.note("what it says of q");
    e.vmulss(xmm_of(result), xmm_of(state), e.ptr[q]);
    e.vmovss(e.ptr[out], xmm_of(result));
    for (const Reg64& next : {q, k, v, states, out}) e.add(next, 4);
  });
  e.leave();
}

}  // namespace llamajit::jit
