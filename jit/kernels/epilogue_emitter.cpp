#include "jit/kernels/epilogue_emitter.h"

#include "jit/base/scalar_math.h"
#include "jit/emit/vector_math.h"

namespace llamajit::jit {
namespace {

void add_biases(Emitter& e, bool gated, const FinishedUnit& unit) {
  Emitter::VectorScope scope(e);
  const V16 bias = e.v16("bias");
  e.load_tail(bias, unit.bias, unit.rows);
  e.add(unit.result, unit.result, bias);
  if (!gated) return;
  e.load_tail(bias, unit.bias + unit.up_bias, unit.rows);
  e.add(unit.up, unit.up, bias);
}

}  // namespace

void emit_epilogue(Emitter& e, Epilogue epilogue, bool has_bias, const FinishedUnit& unit) {
  Emitter::VectorScope scope(e);
  const V16& result = unit.result;
  if (has_bias) add_biases(e, is_gated(epilogue), unit);
  switch (epilogue) {
    case Epilogue::store:
      break;
    case Epilogue::add: {
      const V16 before = e.v16("before");
      e.load_tail(before, unit.to, unit.rows);
      e.add(result, before, result);
      break;
    }
    case Epilogue::swiglu: {
      const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
      emit_silu(e, result, t0, t1, t2);
      e.mul(result, result, unit.up);
      break;
    }
    case Epilogue::swiglu_clamped: {
      const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
      emit_swiglu_clamped(e, result, unit.up, t0, t1, t2);
      break;
    }
    case Epilogue::relu2glu:
      e.max(result, result, f32(0.0F));
      e.mul(result, result, result);
      e.mul(result, result, unit.up);
      break;
    case Epilogue::gelu:
    case Epilogue::geglu: {
      const V16 t0 = e.v16("t0"), t1 = e.v16("t1"), t2 = e.v16("t2");
      emit_gelu(e, result, t0, t1, t2);
      if (is_gated(epilogue)) e.mul(result, result, unit.up);
      break;
    }
    case Epilogue::relu2:
      e.max(result, result, f32(0.0F));
      e.mul(result, result, result);
      break;
  }
  e.store_tail(unit.to, result, unit.rows);
}

}  // namespace llamajit::jit
