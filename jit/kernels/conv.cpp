#include "jit/kernels/conv.h"

#include <cstddef>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"
#include "jit/kernels/slice.h"

namespace llamajit::jit {
namespace {

class ConvGenerator {
 public:
  ConvGenerator(Emitter& emitter, const ConvKey& conv_key) : e(emitter), key(conv_key) {}

  void generate() {
    e.enter();
    if (key.channels % kLanes != 0) e.prepare_tail(key.channels % kLanes);
    e.mov(x, arg(offsetof(ConvArgs, x)));
    e.mov(out, arg(offsetof(ConvArgs, out)));
    e.mov(weights, arg(offsetof(ConvArgs, weights)));
    e.note("the sequence's last {} inputs", key.taps - 1);
    e.mov(state, arg(offsetof(ConvArgs, at)));
    e.mov(state, e.ptr[state + offsetof(Cursor, state)]);
    e.add(state, arg(offsetof(ConvArgs, state_at)));
    e.mov(tokens, arg(offsetof(ConvArgs, n_tokens)));
    e.repeat(tokens, [&] { convolve(); });
    e.leave();
  }

 private:
  Xbyak::Address arg(std::size_t offset) const { return e.ptr[e.args() + offset]; }
  int row(int tap) const { return static_cast<int>(tap * row_stride(key.channels) * 4); }

  // One token's slice.
  void convolve() {
    e.note("where the slice begins, and how many whole vectors it has");
    find_slice_at<ConvArgs>(e, slice, vectors);
    e.while_at_least(vectors, 1, [&] {
      convolve(kLanes);
      e.add(slice, kLanes * 4);
    });
    at_tail_of_slice<ConvArgs>(e, key.channels, [&] { convolve(key.channels % kLanes); });
    e.note("the next token");
    e.mov(e.scratch(), arg(offsetof(ConvArgs, token_stride)));
    for (const Reg64& pointer : {x, out}) e.lea(pointer, e.ptr[pointer + e.scratch() * 4]);
  }

  // The sum, while each input moves to where the one before it was.
  void convolve(int lanes) {
    e.note("the sum over {} taps; the state moves on", key.taps);
    for (int tap = 0; tap < key.taps; ++tap) {
      e.load_tail(value, tap < key.taps - 1 ? state + slice + row(tap) : x + slice, lanes);
      if (tap == 0) {
        e.mul(sum, value, weights + slice);
      } else {
        e.fma(sum, value, weights + slice + row(tap));
        e.store_tail(state + slice + row(tap - 1), value, lanes);
      }
    }
    emit_silu(e, sum, value, t0, t1);
    e.store_tail(out + slice, sum, lanes);
  }

  Emitter& e;
  const ConvKey& key;
  const Reg64 x = e.gpr("x"), out = e.gpr("out"), weights = e.gpr("weights"), state = e.gpr("state");
  const Reg64 slice = e.gpr("slice"), vectors = e.gpr("vectors"), tokens = e.gpr("tokens");
  const V16 sum = e.v16("sum"), value = e.v16("value"), t0 = e.v16("t0"), t1 = e.v16("t1");
};

}  // namespace

void generate(Emitter& e, const ConvKey& key) {
  ConvGenerator(e, key).generate();
}

}  // namespace llamajit::jit
