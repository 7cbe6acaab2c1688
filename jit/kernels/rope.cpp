#include <algorithm>
#include <cstddef>

#include "jit/kernels/generators.h"
#include "jit/kernels/token_heads.h"

namespace llamajit::jit {
namespace {

class RopeGenerator {
 public:
  RopeGenerator(Emitter& emitter, const RopeKey& rope_key) : e(emitter), key(rope_key) {}

  void generate() {
    e.enter();
    if (key.head_dim % kLanes != 0) e.prepare_tail(key.head_dim % kLanes);
    over_tokens<RopeArgs>(e, token, [&] {
      find_heads<RopeArgs>(e, token, {x, offsetof(RopeArgs, x)}, {out, offsetof(RopeArgs, out)});
      e.mov(heads, e.ptr[e.args() + offsetof(RopeArgs, n_heads)]);
      find_angles();
      e.repeat(heads, [&] {
        for (int i = 0; i < key.head_dim; i += kLanes) rotate(i * 4, std::min(kLanes, key.head_dim - i));
        for (const Reg64& row : {x, out}) e.add(row, key.head_dim * 4);
      });
    });
    e.leave();
  }

 private:
  void find_angles() {
    e.note("its position's row of the table");
    e.imul(cosine, token, sizeof(Cursor));
    e.add(cosine, e.ptr[e.args() + offsetof(RopeArgs, at)]);
    e.mov(cosine.cvt32(), e.ptr[cosine + offsetof(Cursor, pos)]);
    e.imul(cosine, cosine, 2 * key.head_dim * 4);
    e.add(cosine, e.ptr[e.args() + offsetof(RopeArgs, table)]);
  }

  void rotate(int offset, int lanes) {
    e.note("values {} to {}: out = swap(x) * sin + x * cos", offset / 4, offset / 4 + lanes - 1);
    e.load_tail(value, x + offset, lanes);
    e.swap_pairs(swapped, value);
    e.load_tail(angle, cosine + offset, lanes);
    e.mul(value, value, angle);
    e.load_tail(angle, cosine + (key.head_dim * 4 + offset), lanes);
    e.fma(value, swapped, angle);
    e.store_tail(out + offset, value, lanes);
  }

  Emitter& e;
  const RopeKey& key;
  const Reg64 x = e.gpr("x"), out = e.gpr("out"), cosine = e.gpr("cosine"), heads = e.gpr("heads");
  const Reg64 token = e.gpr("token");
  const V16 value = e.v16("value"), swapped = e.v16("swapped"), angle = e.v16("angle");
};

}  // namespace

void generate(Emitter& e, const RopeKey& key) {
  RopeGenerator(e, key).generate();
}

}  // namespace llamajit::jit
