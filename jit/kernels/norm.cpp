#include "jit/kernels/generators.h"

namespace llamajit::jit {
namespace {

constexpr int kNormWays = 4;
constexpr int kStep = kNormWays * kLanes;  // floats in one turn of the loops

class NormGenerator {
 public:
  NormGenerator(Emitter& emitter, const NormKey& norm_key) : e(emitter), key(norm_key) {}

  void generate() {
    e.enter();
    e.mov(x, e.ptr[e.args() + offsetof(NormArgs, x)]);
    e.mov(out, e.ptr[e.args() + offsetof(NormArgs, out)]);
    e.mov(vectors, e.ptr[e.args() + offsetof(NormArgs, vectors)]);
    if (key.own_weights) e.mov(weight, e.ptr[e.args() + offsetof(NormArgs, weight)]);
    e.repeat(vectors, [&] {
      if (!key.own_weights) e.mov(weight, e.ptr[e.args() + offsetof(NormArgs, weight)]);
      if (is_layer()) find_mean();
      sum_of_squares();
      scale_from_sum();
      if (is_layer()) e.mov(bias, e.ptr[e.args() + offsetof(NormArgs, bias)]);
      write();
      if (key.n % kStep == 0) return;
      for (const Reg64& pointer : {x, out}) e.add(pointer, key.n % kStep * 4);
      if (key.own_weights) e.add(weight, key.n % kStep * 4);
    });
    e.leave();
  }

 private:
  bool is_layer() const { return key.kind == NormKind::layer; }

  // Runs body(offset in floats, lanes) over the vector: whole turns in a loop, the rest straight.
  template <class Body, class Advance>
  void over_vector(Body body, Advance advance) {
    e.repeat(count, key.n / kStep, [&] {
      for (int i = 0; i < kNormWays; ++i) body(i, kLanes);
      advance();
    });
    const int rest = key.n % kStep;
    for (int i = 0; i * kLanes < rest; ++i) body(i, std::min(kLanes, rest - i * kLanes));
  }

  void sum_of_squares() {
    e.note("the sum of squares, {} ways", kNormWays);
    sum_up([&](const V16& sum, int i, int lanes) {
      load_centred(value, at + i * kLanes * 4, lanes);
      e.fma(sum, value, value);
    });
  }

  void find_mean() {
    e.note("the mean: a sum, {} ways", kNormWays);
    sum_up([&](const V16& sum, int i, int lanes) {
      e.load_tail(value, at + i * kLanes * 4, lanes);
      e.add(sum, sum, value);
    });
    e.broadcast_lane0(mean, fold_mean());
  }

  // sums[0] = the sum over the vector, whose terms term(sum, vector of the turn, lanes) adds.
  template <class Term>
  void sum_up(Term term) {
    e.name(sums, "sums[way]");
    for (const V16& sum : sums) e.zero(sum);
    e.mov(at, x);
    over_vector([&](int i, int lanes) { term(sums[static_cast<std::size_t>(i)], i, lanes); },
                [&] { e.add(at, kStep * 4); });
    e.note("the ways' sum");
    e.add(sums[0], sums[0], sums[1]);
    e.add(sums[2], sums[2], sums[3]);
    e.add(sums[0], sums[0], sums[2]);
  }

  // The sum in sums[0], divided by n, in lane 0.
  Vec fold_mean() {
    const Vec sum = e.fold_add(sums[0], sums[1]);
    e.name(sums[0], "sum");
    e.vdivss(sum, sum, e.constant(f32(static_cast<float>(key.n))));
    return sum;
  }

  // x, for LayerNorm less the mean, where lanes beyond the end stay 0.
  void load_centred(const V16& to, const RegExp& from, int lanes) {
    e.load_tail(to, from, lanes);
    if (!is_layer()) return;
    e.sub(to, to, mean);
    if (lanes < kLanes) e.fill_tail(to, lanes, f32(0.0F));
  }

  // scale = 1 / sqrt(sum / n + eps) in all lanes.
  void scale_from_sum() {
    const Vec temp = Vec(sums[1].part[0].getIdx());
    e.note("scale = 1 / sqrt(sum / {} + {})", key.n, key.eps);
    const Vec sum = fold_mean();
    e.name(sums[1], "temp");
    e.vaddss(sum, sum, e.constant(f32(key.eps)));
    e.vsqrtss(sum, sum, sum);
    e.vmovss(temp, e.constant(f32(1.0F)));
    e.vdivss(temp, temp, sum);
    e.broadcast_lane0(scale, temp);
  }

  void write() {
    e.note("out {}= {} * scale * weight{}", key.adds ? "+" : "", is_layer() ? "(x - mean)" : "x",
           is_layer() ? " + bias" : "");
    e.name(sums, "results[i]");
    over_vector(
        [&](int i, int lanes) {
          const int offset = i * kLanes * 4;
          const V16& result = sums[static_cast<std::size_t>(i)];
          load_centred(result, x + offset, lanes);
          e.mul(result, result, scale);
          if (is_layer()) {
            e.load_tail(value, weight + offset, lanes);
            e.load_tail(shift, bias + offset, lanes);
            e.muladd(result, value, shift);
          } else if (lanes == kLanes) {
            e.mul(result, result, weight + offset);
          } else {
            e.load_tail(value, weight + offset, lanes);
            e.mul(result, result, value);
          }
          if (key.adds) {
            e.load_tail(value, out + offset, lanes);
            e.add(result, value, result);
          }
          e.store_tail(out + offset, result, lanes);
        },
        [&] {
          for (const Reg64& pointer : {x, weight, out}) e.add(pointer, kStep * 4);
          if (is_layer()) e.add(bias, kStep * 4);
        });
  }

  Emitter& e;
  const NormKey& key;
  const Reg64 x = e.gpr("x"), weight = e.gpr("weight"), out = e.gpr("out"), at = e.gpr("at");
  const Reg64 count = e.gpr("count"), vectors = e.gpr("vectors");
  const Reg64 bias = is_layer() ? e.gpr("bias") : Reg64();
  const V16 mean = is_layer() ? e.uniform16("mean") : V16();
  const V16 shift = is_layer() ? e.v16("shift") : V16();
  const V16 value = e.v16("value"), scale = e.uniform16("scale");
  const std::vector<V16> sums = e.v16s(kNormWays, "sums[way]");
};

}  // namespace

void generate(Emitter& e, const NormKey& key) {
  NormGenerator(e, key).generate();
}

}  // namespace llamajit::jit
