#include "jit/kernels/mix.h"

#include <cstddef>

#include "jit/kernels/generators.h"
#include "jit/kernels/slice.h"

namespace llamajit::jit {

void generate(Emitter& e, const MixKey& key) {
  const Reg64 out = e.gpr("out"), vectors = e.gpr("vectors"), count = e.gpr("count"), at = e.gpr("at");
  const Reg64 from = e.gpr("from"), x = e.gpr("x"), weights = e.gpr("weights"), turn = e.gpr("turn");
  const V16 weight = e.uniform16("weight"), sum = e.v16("sum"), value = e.v16("value");
  e.enter();
  e.mov(x, e.ptr[e.args() + offsetof(MixArgs, x)]);
  e.mov(weights, e.ptr[e.args() + offsetof(MixArgs, weights)]);
  e.note("out of the slice, and how many whole vectors it has");
  find_slice<MixArgs>(e, out, vectors, offsetof(MixArgs, out));
  if (!key.adds) {
    e.note("out = 0");
    e.zero(sum);
    e.mov(at, out);
    e.mov(count, vectors);
    e.while_at_least(count, 1, [&] {
      e.store(at, sum);
      e.add(at, kLanes * 4);
    });
    at_tail_of_slice<MixArgs>(e, key.n, [&] { e.store_tail(at, sum, key.n % kLanes); });
  }
  e.repeat(turn, key.vectors, [&] {
    e.note("out += x[v] * weights[v]");
    e.mov(from, e.ptr[e.args() + offsetof(MixArgs, begin)]);
    e.shl(from, 2);
    e.add(from, e.ptr[x]);
    e.broadcast(weight, weights);
    e.mov(at, out);
    e.mov(count, vectors);
    const auto add = [&](int lanes) {
      e.load_tail(value, from, lanes);
      e.mul(value, value, weight);
      e.load_tail(sum, at, lanes);
      e.add(sum, sum, value);
      e.store_tail(at, sum, lanes);
    };
    e.while_at_least(count, 1, [&] {
      add(kLanes);
      e.add(from, kLanes * 4);
      e.add(at, kLanes * 4);
    });
    at_tail_of_slice<MixArgs>(e, key.n, [&] { add(key.n % kLanes); });
    e.add(x, 8);
    e.add(weights, 4);
  });
  e.leave();
}

}  // namespace llamajit::jit
