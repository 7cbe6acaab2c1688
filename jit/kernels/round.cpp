#include "jit/kernels/generators.h"

namespace llamajit::jit {

void generate(Emitter& e, const RoundKey& key) {
  const Reg64 x = e.gpr("x"), out = e.gpr("out"), count = e.gpr("count");
  const V16 value = e.v16("value");
  constexpr int kUnroll = 8;
  const int rest = key.n % kLanes;
  const int turns = key.n / (kUnroll * kLanes);
  const int straight = key.n / kLanes % kUnroll;
  const auto vector = [&](int i) {
    e.load(value, x + i * kLanes * 4);
    e.store_as(out + i * kLanes * 2, value, ElementType::bf16);
  };
  e.enter();
  e.mov(x, e.ptr[e.args() + offsetof(QuantizeArgs, x)]);
  e.mov(out, e.ptr[e.args() + offsetof(QuantizeArgs, out) + offsetof(QuantizedArgs, codes)]);
  e.note("{} values, sixteen at a time", key.n);
  e.repeat(count, turns, [&] {
    for (int i = 0; i < kUnroll; ++i) vector(i);
    e.add(x, kUnroll * kLanes * 4);
    e.add(out, kUnroll * kLanes * 2);
  });
  for (int i = 0; i < straight; ++i) vector(i);
  if (rest != 0) {
    e.note("the last {}, and what makes the last pair whole", rest);
    e.load_tail(value, x + straight * kLanes * 4, rest);
    e.scatter_as(out + straight * kLanes * 2, 2, value, static_cast<int>(round_up(rest, 2)),
                 ElementType::bf16);
  }
  e.leave();
}

}  // namespace llamajit::jit
