#include <bit>

#include "jit/emit/vector_math.h"
#include "jit/kernels/generators.h"

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
    e.mov(of_subgroup, e.ptr[e.args() + kOut + key.numbers().at]);
    e.repeat(groups, key.n / key.group, [&] {
      largest_magnitude();
      emit_q8_scale(e, scales, inverse, largest, value);
      write_codes();
      e.add(scales, 4);
    });
    e.leave();
  }

 private:
  // Runs body(number of the vector, lanes) over `n` values; many of them loop and leave `at` moved.
  template <class Body>
  void over(int n, Body body) {
    constexpr int kUnroll = 8;
    const int vectors = n / kLanes;
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
    if (n % kLanes != 0) body(straight, n % kLanes);
  }

  void largest_magnitude() {
    e.note("the group's largest magnitude");
    e.mov(at, x);
    e.zero(largest);
    over(key.group, [&](int i, int lanes) {
      e.load_tail(value, at + i * kLanes * 4, lanes);
      e.abs(value, value);
      e.max(largest, value, largest);  // a NaN is passed over
    });
  }

  void write_codes() {
    e.repeat(subgroups, key.group / key.subgroup, [&] {
      e.note("codes = round(x * inverse), and the sum of {}", key.subgroup);
      e.mov(at, x);
      e.mov(at_codes, codes);
      e.zero(sum);
      over(key.subgroup, [&](int i, int lanes) {
        e.load_tail(value, at + i * kLanes * 4, lanes);
        emit_q8_codes(e, value, inverse);
        e.store_s8(at_codes + i * kLanes, value, static_cast<int>(round_up(lanes, 4)));
        e.add_i32(sum, sum, value);
      });
      write_sum();
      e.add(of_subgroup, key.numbers().bytes);
      e.add(x, key.subgroup * 4);
      e.add(codes, static_cast<std::uint32_t>(round_up(key.subgroup, 4)));
    });
  }

  // -zero * sum, or the sum itself
  void write_sum() {
    const Xbyak::Xmm total(e.fold_add_i32(sum, value).getIdx());
    if (key.zero > 0) {
      e.note("offset = -{} * the codes' sum", key.zero);
      e.vmovd(e.scratch().cvt32(), total);
      e.neg(e.scratch().cvt32());
      e.shl(e.scratch().cvt32(), std::countr_zero(static_cast<unsigned>(key.zero)));
      e.mov(e.ptr[of_subgroup], e.scratch().cvt32());
    } else if (key.has_subsums()) {
      e.note("the codes' sum");
      e.vpextrw(e.ptr[of_subgroup], total, 0);
    } else {
      e.note("the codes' sum");
      e.vcvtdq2ps(total, total);
      e.vmovss(e.ptr[of_subgroup], total);
    }
  }

  Emitter& e;
  const QuantizeKey& key;
  const Reg64 x = e.gpr("x"), codes = e.gpr("codes"), scales = e.gpr("scales");
  const Reg64 of_subgroup = e.gpr(key.numbers().name);
  const Reg64 groups = e.gpr("groups"), subgroups = e.gpr("subgroups"), count = e.gpr("count");
  const Reg64 at = e.gpr("at"), at_codes = e.gpr("at_codes");
  const V16 value = e.v16("value"), largest = e.v16("largest"), sum = e.v16("sum");
  const V16 inverse = e.uniform16("inverse");
};

}  // namespace

void generate(Emitter& e, const QuantizeKey& key) {
  QuantizeGenerator(e, key).generate();
}

}  // namespace llamajit::jit
