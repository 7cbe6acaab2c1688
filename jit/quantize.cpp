#include "jit/generators.h"
#include "jit/vector_math.h"

namespace llamajit::jit {
namespace {

class QuantizeGenerator {
 public:
  QuantizeGenerator(Emitter& emitter, const QuantizeKey& quantize_key) : e(emitter), key(quantize_key) {}

  void generate() {
    e.enter();
    if (key.group % kLanes != 0) e.prepare_tail(key.group % kLanes);
    constexpr auto kOut = offsetof(QuantizeArgs, out);
    e.mov(x, e.ptr[e.args() + offsetof(QuantizeArgs, x)]);
    e.mov(codes, e.ptr[e.args() + kOut + offsetof(QuantizedArgs, codes)]);
    e.mov(scales, e.ptr[e.args() + kOut + offsetof(QuantizedArgs, scales)]);
    e.mov(offsets, e.ptr[e.args() + kOut + offsetof(QuantizedArgs, offsets)]);
    e.repeat(groups, key.n / key.group, [&] {
      largest_magnitude();
      emit_q8_scale(e, scales, inverse, largest, value);
      write_codes();
      write_offset();
      e.add(scales, 4);
      e.add(offsets, 4);
    });
    e.leave();
  }

 private:
  // Runs body(byte offset of the floats, lanes) over one group; long groups loop and leave `at` moved.
  template <class Body>
  void over_group(Body body) {
    constexpr int kUnroll = 8;
    const int vectors = key.group / kLanes;
    int straight = vectors;
    if (vectors > kUnroll) {
      straight = vectors % kUnroll;
      e.repeat(count, vectors / kUnroll, [&] {
        for (int i = 0; i < kUnroll; ++i) body(i, kLanes);
        e.add(at, kUnroll * kLanes * 4);
        e.add(at_codes, kUnroll * kLanes);
      });
    }
    for (int i = 0; i < straight; ++i) body(i, kLanes);
    if (key.group % kLanes != 0) body(straight, key.group % kLanes);
  }

  void largest_magnitude() {
    e.note("the group's largest magnitude");
    e.mov(at, x);
    e.mov(at_codes, codes);
    e.zero(largest);
    over_group([&](int i, int lanes) {
      e.load_tail(value, at + i * kLanes * 4, lanes);
      e.abs(value, value);
      e.max(largest, value, largest);  // a NaN is passed over
    });
  }

  void write_codes() {
    e.note("codes = round(x * inverse), and their sum");
    e.mov(at, x);
    e.mov(at_codes, codes);
    e.zero(sum);
    over_group([&](int i, int lanes) {
      e.load_tail(value, at + i * kLanes * 4, lanes);
      emit_q8_codes(e, value, inverse);
      e.store_s8(at_codes + i * kLanes, value, static_cast<int>(round_up(lanes, 4)));
      e.add_i32(sum, sum, value);
    });
    e.note("the next group of {}", key.group);
    e.add(x, key.group * 4);
    e.add(codes, static_cast<std::uint32_t>(round_up(key.group, 4)));
  }

  // -128 * sum
  void write_offset() {
    const Vec total = e.fold_add_i32(sum, value);
    e.note("offset = -128 * the codes' sum");
    e.vmovd(e.scratch().cvt32(), Xbyak::Xmm(total.getIdx()));
    e.neg(e.scratch().cvt32());
    e.shl(e.scratch().cvt32(), 7);
    e.mov(e.ptr[offsets], e.scratch().cvt32());
  }

  Emitter& e;
  const QuantizeKey& key;
  const Reg64 x = e.gpr("x"), codes = e.gpr("codes"), scales = e.gpr("scales"), offsets = e.gpr("offsets");
  const Reg64 groups = e.gpr("groups"), count = e.gpr("count"), at = e.gpr("at"),
              at_codes = e.gpr("at_codes");
  const V16 value = e.v16("value"), largest = e.v16("largest"), sum = e.v16("sum");
  const V16 inverse = e.uniform16("inverse");
};

}  // namespace

void generate(Emitter& e, const QuantizeKey& key) {
  QuantizeGenerator(e, key).generate();
}

}  // namespace llamajit::jit
