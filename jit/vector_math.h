// Elementary functions emitted into a host kernel; scalar_math.h holds the same steps in C++.
#pragma once

#include "jit/emitter.h"

namespace llamajit::jit {

// x = e^x in all lanes, as exp_f32(). Clobbers the temporaries.
void emit_exp(Emitter& e, const V16& x, const V16& t0, const V16& t1);

// g = silu(g) = g / (1 + e^-g), as silu(). Clobbers the temporaries.
void emit_silu(Emitter& e, const V16& g, const V16& t0, const V16& t1, const V16& t2);

}  // namespace llamajit::jit
