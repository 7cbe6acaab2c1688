// Emits the epilogues of matvec and matmul.
#pragma once

#include <cstddef>

#include "jit/emit/emitter.h"
#include "jit/kernels/epilogue.h"

namespace llamajit::jit {

// The sums of a unit in registers, and what they become.
struct FinishedUnit {
  V16 result;   // the sums, and then what is stored
  V16 up;       // the other matrix's sums, where the epilogue is gated
  RegExp to;    // the unit's first result
  RegExp bias;  // the unit's first bias, where there is one
  int rows;     // of the sixteen, those that are the matrix's own
  int up_bias;  // bytes from gate's biases to up's
};

// Adds the biases, if there are any, applies the epilogue and stores the rows. Clobbers `up`, and rax where
// rows < 16.
void emit_epilogue(Emitter& e, Epilogue epilogue, bool has_bias, const FinishedUnit& unit);

// address = that of the first bias of the unit whose results begin at `out`.
template <class Args>
void emit_bias_address(Emitter& e, const Reg64& address, const Reg64& out) {
  e.name(address, "bias");
  e.mov(address, out);
  e.sub(address, e.ptr[e.args() + offsetof(Args, out)]);
  e.add(address, e.ptr[e.args() + offsetof(Args, bias)]);
}

// The unit's sums, both matrices' where gated, times their scales.
template <class Args>
void emit_scales(Emitter& e, const V16& result, const V16* up) {
  Emitter::VectorScope scope(e);
  const V16 scale = e.uniform16("scale");
  e.note("times the matrix's scale");
  e.mov(e.scratch(), e.ptr[e.args() + offsetof(Args, scales)]);
  e.broadcast(scale, e.scratch());
  e.mul(result, result, scale);
  if (up == nullptr) return;
  e.broadcast(scale, e.scratch() + 4);
  e.mul(*up, *up, scale);
}

}  // namespace llamajit::jit
