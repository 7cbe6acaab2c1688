#include "jit/generators.h"

namespace llamajit::jit {
namespace {

constexpr int kWays = 4;
constexpr int kStep = kWays * kLanes;  // floats in one turn of the loops

class NormGenerator {
 public:
  NormGenerator(Emitter& emitter, const NormKey& norm_key) : e(emitter), key(norm_key) {}

  void generate() {
    e.enter();
    e.mov(x, e.ptr[e.args() + offsetof(NormArgs, x)]);
    e.mov(weight, e.ptr[e.args() + offsetof(NormArgs, weight)]);
    e.mov(out, e.ptr[e.args() + offsetof(NormArgs, out)]);
    sum_of_squares();
    scale_from_sum();
    write();
    e.leave();
  }

 private:
  // Runs body(offset in floats, lanes) over the vector: whole turns in a loop, the rest straight.
  template <class Body, class Advance>
  void over_vector(Body body, Advance advance) {
    e.repeat(count, key.n / kStep, [&] {
      for (int i = 0; i < kWays; ++i) body(i, kLanes);
      advance();
    });
    const int rest = key.n % kStep;
    for (int i = 0; i * kLanes < rest; ++i) body(i, std::min(kLanes, rest - i * kLanes));
  }

  void sum_of_squares() {
    e.note("the sum of squares, {} ways", kWays);
    for (const V16& sum : sums) e.zero(sum);
    e.mov(at, x);
    over_vector(
        [&](int i, int lanes) {
          e.load_tail(value, at + i * kLanes * 4, lanes);
          e.fma(sums[static_cast<std::size_t>(i)], value, value);
        },
        [&] { e.add(at, kStep * 4); });
    e.note("the ways' sum");
    e.add(sums[0], sums[0], sums[1]);
    e.add(sums[2], sums[2], sums[3]);
    e.add(sums[0], sums[0], sums[2]);
  }

  // scale = 1 / sqrt(sum / n + eps) in all lanes.
  void scale_from_sum() {
    const Vec sum = e.fold_add(sums[0], sums[1]);
    const Vec temp = Vec(sums[1].part[0].getIdx());
    e.name(sums[0], "sum");
    e.name(sums[1], "temp");
    e.note("scale = 1 / sqrt(sum / {} + {})", key.n, key.eps);
    e.vdivss(sum, sum, e.constant(f32(static_cast<float>(key.n))));
    e.vaddss(sum, sum, e.constant(f32(key.eps)));
    e.vsqrtss(sum, sum, sum);
    e.vmovss(temp, e.constant(f32(1.0F)));
    e.vdivss(temp, temp, sum);
    e.broadcast_lane0(scale, temp);
  }

  void write() {
    e.note("out = x * scale * weight");
    e.name(sums, "results[i]");
    over_vector(
        [&](int i, int lanes) {
          const int offset = i * kLanes * 4;
          const V16& result = sums[static_cast<std::size_t>(i)];
          e.load_tail(result, x + offset, lanes);
          e.mul(result, result, scale);
          if (lanes == kLanes) {
            e.mul(result, result, weight + offset);
          } else {
            e.load_tail(value, weight + offset, lanes);
            e.mul(result, result, value);
          }
          e.store_tail(out + offset, result, lanes);
        },
        [&] {
          for (const Reg64& pointer : {x, weight, out}) e.add(pointer, kStep * 4);
        });
  }

  Emitter& e;
  const NormKey& key;
  const Reg64 x = e.gpr("x"), weight = e.gpr("weight"), out = e.gpr("out"), at = e.gpr("at");
  const Reg64 count = e.gpr("count");
  const V16 value = e.v16("value"), scale = e.uniform16("scale");
  const std::vector<V16> sums = e.v16s(kWays, "sums[way]");
};

}  // namespace

void generate(Emitter& e, const NormKey& key) {
  NormGenerator(e, key).generate();
}

}  // namespace llamajit::jit
