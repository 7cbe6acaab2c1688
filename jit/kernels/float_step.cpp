#include "jit/kernels/float_step.h"

#include "jit/kernels/unpacker.h"

namespace llamajit::jit {
namespace {

// The caller's control register, and what it is meanwhile, lie in the red zone, as kernels call nothing (System
// V ABI 3.2.2).
constexpr int kCallers = -4, kOurs = -8;

}  // namespace

FloatStep::FloatStep(Emitter& emitter, Format format, int n_tiles, bool whole)
    : e_(emitter),
      format_(format),
      is_pair_(format.kind == FormatKind::bf16_pairs),
      x_(emitter.uniform16("x_k")),
      weights_(whole ? emitter.v16s(n_tiles, "weights[tile]") : emitter.part16s(n_tiles, "weights[tile]")) {
  if (!apart()) return;
  x_odd_ = emitter.uniform16("x_k_odd");
  odd_weights_ =
      whole ? emitter.v16s(n_tiles, "odd_weights[tile]") : emitter.part16s(n_tiles, "odd_weights[tile]");
}

void FloatStep::begin() const {
  if (!apart()) return;
  constexpr int kFlushToZero = 1 << 15, kDenormalsAreZeros = 1 << 6;
  const Xbyak::Reg32 control = e_.scratch().cvt32();
  e_.note("subnormal numbers count as zeros");
  e_.vstmxcsr(e_.ptr[e_.rsp + kCallers]);
  e_.mov(control, e_.ptr[e_.rsp + kCallers]);
  e_.or_(control, kFlushToZero | kDenormalsAreZeros);
  e_.mov(e_.ptr[e_.rsp + kOurs], control);
  e_.vldmxcsr(e_.ptr[e_.rsp + kOurs]);
}

void FloatStep::end() const {
  if (apart()) e_.vldmxcsr(e_.ptr[e_.rsp + kCallers]);
}

void FloatStep::take_apart(const V16& even, const V16& odd) const {
  e_.and_bits(odd, even, Const{0xFFFF0000});
  e_.shift_left(even, even, 16);
}

void FloatStep::load_input(const RegExp& from) const {
  e_.broadcast(x_, from);
  if (apart()) take_apart(x_, x_odd_);
}

void FloatStep::load_weights(int tile, const RegExp& from) const {
  const auto i = static_cast<std::size_t>(tile);
  e_.load_as_f32(weights_[i], from, float_type(format_.kind));
  if (apart()) take_apart(weights_[i], odd_weights_[i]);
}

void FloatStep::add_product(const V16& sum, int tile) const {
  const auto i = static_cast<std::size_t>(tile);
  if (by_instruction()) {
    e_.vdpbf16ps(sum.part[0], x_.part[0], weights_[i].part[0]);
    return;
  }
  if (apart()) e_.fma(sum, x_odd_, odd_weights_[i]);
  e_.fma(sum, x_, weights_[i]);
}

void FloatStep::add_broadcast_product(const V16& sum, int tile, const RegExp& input) const {
  const V16& weights = weights_[static_cast<std::size_t>(tile)];
  if (by_instruction()) {
    e_.vdpbf16ps(sum.part[0], weights.part[0], e_.ptr_b[input]);
  } else if (apart()) {
    load_input(input);
    add_product(sum, tile);
  } else {
    e_.fma_broadcast(sum, weights, input, x_);
  }
}

void FloatStep::add_product(const V16& sum, const RegExp& weights) const {
  if (by_instruction()) {
    e_.vdpbf16ps(sum.part[0], x_.part[0], e_.ptr[weights]);
  } else if (format_.kind == FormatKind::f32) {
    e_.fma(sum, x_, weights);
  } else {
    load_weights(0, weights);
    add_product(sum, 0);
  }
}

}  // namespace llamajit::jit
