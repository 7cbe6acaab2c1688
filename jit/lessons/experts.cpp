#include <algorithm>
#include <cstddef>
#include <vector>

#include "jit/emit/vector_math.h"
#include "jit/lessons/over_vector.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

class ExpertsLesson {
 public:
  ExpertsLesson(Emitter& emitter, const LessonExpertsKey& experts_key) : e(emitter), key(experts_key) {
    for (int turn = 0; turn < key.used; ++turn) {
      chosen.push_back(e.gpr(turn == 0 ? "first_choice" : "second_choice"));
    }
  }

  void generate() {
    e.enter();
    load_args();
    copy_scores();
    e.zero(sum);
    for (int turn = 0; turn < key.used; ++turn) choose(turn);
    mix();
    e.leave();
  }

 private:
  void load_args() {
    e.note("where the numbers are");
    e.mov(scores, e.ptr[e.args() + offsetof(LessonExpertsArgs, scores)]);
    e.mov(outputs, e.ptr[e.args() + offsetof(LessonExpertsArgs, outputs)]);
    e.mov(rest, e.ptr[e.args() + offsetof(LessonExpertsArgs, rest)]);
    e.mov(weights, e.ptr[e.args() + offsetof(LessonExpertsArgs, weights)]);
    e.mov(out, e.ptr[e.args() + offsetof(LessonExpertsArgs, out)]);
    if (key.n % kLanes != 0) e.prepare_tail(key.n % kLanes);
  }

  void copy_scores() {
    e.note("nobody is chosen yet: weights = 0; rest = the scores, with -infinity behind them");
    e.zero(acc);
    e.mov(at, rest);
    e.mov(index, weights);
    over_vector(e, count, key.n, 1, {{scores}, {index}, {at}}, [&](int /*way*/, int lanes) {
      e.load_tail(value, scores, lanes, f32(-kInfinity));
      e.store(at, value);
      e.store_tail(index, acc, lanes);
    });
  }

  void choose(int turn) {
    const V16& best = turn == 0 ? largest : next;
    e.note("choice {}: the largest of the rest", turn + 1);
    e.broadcast(acc, f32(-kInfinity));
    e.mov(at, rest);
    e.repeat(count, static_cast<int>(divide_up(key.n, kLanes)), [&] {
      e.max(acc, acc, at);
      e.add(at, kLanes * 4);
    });
    e.broadcast_lane0(best, e.fold_max(acc, value));
    find(best);
    e.note("it leaves the rest");
    e.bsf(index, index);
    e.mov(e.dword[at + index * 4], f32(-kInfinity).bits);
    e.sub(at, rest);
    const Reg64& here = chosen[static_cast<std::size_t>(turn)];
    e.lea(here, e.ptr[at + index * 4]);
    e.note("exp(score - largest), and the sum of that");
    e.sub(value, best, largest);
    emit_exp(e, value, t0, t1);
    e.add(sum, sum, value);
    e.vmovss(e.ptr[weights + here], xmm_of(value.part[0]));
  }

  // index = a bit for each lane of the first vector at `at` that has `best`.
  void find(const V16& best) {
    Xbyak::Label again, found;
    e.note("where it is: the first that equals it");
    e.mov(at, rest);
    e.L(again, "find");
    e.load(value, at);
    e.equal_mask(index, count, value, best);
    e.test(index.cvt32(), index.cvt32());
    e.jnz(found, Emitter::T_NEAR);
    e.add(at, kLanes * 4);
    e.jmp(again, Emitter::T_NEAR);
    e.L(found, "found");
  }

  void mix() {
    e.note("weights = those / their sum, and the sum of weights * outputs: no other output is read");
    e.zero(acc);
    for (const Reg64& here : chosen) {
      e.broadcast(value, weights + here);
      e.div(value, value, sum);
      e.vmovss(e.ptr[weights + here], xmm_of(value.part[0]));
      e.broadcast(t0, outputs + here);
      e.fma(acc, value, t0);
    }
    e.vmovss(e.ptr[out], xmm_of(acc.part[0]));
  }

  Emitter& e;
  const LessonExpertsKey& key;
  const Reg64 scores = e.gpr("scores"), outputs = e.gpr("outputs"), rest = e.gpr("rest");
  const Reg64 weights = e.gpr("weights"), out = e.gpr("out");
  const Reg64 at = e.gpr("at"), index = e.gpr("index"), count = e.gpr("count");
  std::vector<Reg64> chosen;  // bytes from a list's begin, in the order of their choice
  const V16 value = e.v16("value"), acc = e.v16("acc"), sum = e.v16("sum");
  const V16 t0 = e.v16("t0"), t1 = e.v16("t1");
  const V16 largest = e.uniform16("largest"), next = e.uniform16("next");
};

}  // namespace

void reference(const LessonExpertsKey& key, const LessonExpertsArgs& args) {
  std::copy_n(args.scores, key.n, args.rest);
  std::fill_n(args.weights, key.n, 0.0F);
  std::vector<std::size_t> chosen;
  float largest = 0, sum = 0;
  for (int turn = 0; turn < key.used; ++turn) {
    float* const best = std::max_element(args.rest, args.rest + key.n);
    if (turn == 0) largest = *best;
    chosen.push_back(static_cast<std::size_t>(best - args.rest));
    const float weight = exp_f32(*best - largest);
    args.weights[chosen.back()] = weight;
    sum += weight;
    *best = -kInfinity;
  }
  *args.out = 0;
  for (const std::size_t i : chosen) {
    args.weights[i] /= sum;
    *args.out = fused(args.weights[i], args.outputs[i], *args.out);
  }
}

void generate(Emitter& e, const LessonExpertsKey& key) {
  ExpertsLesson(e, key).generate();
}

}  // namespace llamajit::jit
