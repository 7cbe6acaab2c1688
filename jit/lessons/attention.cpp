#include <cstddef>
#include <vector>

#include "jit/emit/vector_math.h"
#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

class AttentionLesson {
 public:
  AttentionLesson(Emitter& emitter, const LessonAttentionKey& attention_key)
      : e(emitter), key(attention_key) {}

  void generate() {
    e.enter();
    load_args();
    e.repeat(queries, [&] {
      scores();
      exponentials();
      weighted_sum();
      for (const Reg64& next : {q, out}) e.add(next, 4);
      e.add(weights, key.n * 4);
    });
    e.leave();
  }

 private:
  void load_args() {
    e.note("where the numbers are");
    e.mov(q, e.ptr[e.args() + offsetof(LessonAttentionArgs, q)]);
    e.mov(k, e.ptr[e.args() + offsetof(LessonAttentionArgs, k)]);
    e.mov(v, e.ptr[e.args() + offsetof(LessonAttentionArgs, v)]);
    e.mov(weights, e.ptr[e.args() + offsetof(LessonAttentionArgs, weights)]);
    e.mov(out, e.ptr[e.args() + offsetof(LessonAttentionArgs, out)]);
    e.mov(queries, e.ptr[e.args() + offsetof(LessonAttentionArgs, queries)]);
    if (key.n % kLanes != 0) e.prepare_tail(key.n % kLanes);
  }

  // Runs body(lanes), `row` walking over the weights and `at` over `from`.
  template <class Body>
  void over_positions(const Reg64& from, Body body) {
    e.mov(row, weights);
    e.mov(at, from);
    over_vector(e, count, key.n, 1, {{row}, {at}}, [&](int /*way*/, int lanes) { body(lanes); });
  }

  void scores() {
    e.note("the scores, q * k, and the largest of them");
    e.broadcast(query, q);
    e.name(acc, "largest");
    e.broadcast(acc, f32(-kInfinity));
    over_positions(k, [&](int lanes) {
      e.load_tail(value, at, lanes);
      e.mul(value, value, query);
      e.store_tail(row, value, lanes);
      if (lanes < kLanes) e.fill_tail(value, lanes, f32(-kInfinity));
      e.max(acc, acc, value);
    });
    e.broadcast_lane0(maximum, e.fold_max(acc, value));
  }

  // Lanes beyond the end hold -infinity, whose exponential any sum with the largest one's 1 swallows.
  void exponentials() {
    e.note("exp(score - largest), and the sum of that");
    e.name(acc, "sum");
    e.zero(acc);
    over_positions(k, [&](int lanes) {
      e.load_tail(value, row, lanes, f32(-kInfinity));
      e.sub(value, value, maximum);
      emit_exp(e, value, t0, t1);
      e.add(acc, acc, value);
      e.store_tail(row, value, lanes);
    });
    emit_inverse_sum(e, inverse, acc, t0);
  }

  void weighted_sum() {
    e.note("weights = exponentials * inverse, and the sum of weights * v");
    e.zero(acc);
    over_positions(v, [&](int lanes) {
      e.load_tail(value, row, lanes);
      e.mul(value, value, inverse);
      e.store_tail(row, value, lanes);
      e.load_tail(t0, at, lanes);
      e.fma(acc, value, t0);
    });
    const Vec sum = e.fold_add(acc, t0);
    e.note("lane 0 is the query's result");
    e.vmovss(e.ptr[out], sum);
  }

  Emitter& e;
  const LessonAttentionKey& key;
  const Reg64 q = e.gpr("q"), k = e.gpr("k"), v = e.gpr("v"), weights = e.gpr("weights");
  const Reg64 out = e.gpr("out"), row = e.gpr("row"), at = e.gpr("at"), count = e.gpr("count");
  const Reg64 queries = e.gpr("queries");
  const V16 value = e.v16("value"), acc = e.v16("largest"), t0 = e.v16("t0"), t1 = e.v16("t1");
  const V16 query = e.uniform16("query"), maximum = e.uniform16("maximum");
  const V16& inverse = maximum;
};

}  // namespace

void reference(const LessonAttentionKey& key, const LessonAttentionArgs& args) {
  std::vector<float> row(static_cast<std::size_t>(key.n) + kLanes);
  for (std::int64_t query = 0; query < args.queries; ++query) {
    for (int i = 0; i < key.n; ++i) row[static_cast<std::size_t>(i)] = args.k[i] * args.q[query];
    const float inverse = 1.0F / exponentials(row.data(), key.n).sum;
    float* const weights = args.weights + query * key.n;
    for (int i = 0; i < key.n; ++i) weights[i] = row[static_cast<std::size_t>(i)] * inverse;
    args.out[query] =
        lesson_sum(key.n, 1, [&](int i, float sum) { return fused(weights[i], args.v[i], sum); });
  }
}

void generate(Emitter& e, const LessonAttentionKey& key) {
  AttentionLesson(e, key).generate();
}

}  // namespace llamajit::jit
