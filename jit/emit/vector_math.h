// Elementary functions emitted into a host kernel; scalar_math.h holds the same steps in C++.
#pragma once

#include "jit/emit/emitter.h"

namespace llamajit::jit {

// x = e^x in all lanes, as exp_f32(). Clobbers the temporaries.
void emit_exp(Emitter& e, const V16& x, const V16& t0, const V16& t1);

// x = log x in all lanes, as log_f32(). Clobbers the temporaries.
void emit_log(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2);

// x = sigmoid(x) = 1 / (1 + e^-x), as sigmoid(). Clobbers the temporaries.
void emit_sigmoid(Emitter& e, const V16& x, const V16& t0, const V16& t1);

// x = softplus(x) = log(1 + e^x), as softplus(). Clobbers the temporaries.
void emit_softplus(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2, const V16& t3);

// g = silu(g) = g / (1 + e^-g), as silu(). Clobbers the temporaries.
void emit_silu(Emitter& e, const V16& g, const V16& t0, const V16& t1, const V16& t2);

// g = swiglu_clamped(g, u). Clobbers u and the temporaries.
void emit_swiglu_clamped(Emitter& e, const V16& g, const V16& u, const V16& t0, const V16& t1, const V16& t2);

// x = gelu(x), as gelu(). Clobbers the temporaries.
void emit_gelu(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2);

// x = capped(x, cap). Clobbers the temporaries.
void emit_cap(Emitter& e, const V16& x, float cap, const V16& t0, const V16& t1);

// inverse = 1 / (the sum of x's lanes), in all lanes. Clobbers x and `temp`.
void emit_inverse_sum(Emitter& e, const V16& inverse, const V16& x, const V16& temp);

// A group's scale, largest / 127, to memory, and `inverse` = 127 / largest in all lanes, as q8_scale(); the
// group's largest magnitude is that of the lanes of `largest`. Clobbers `largest` and `temp`.
void emit_q8_scale(Emitter& e, const RegExp& scale, const V16& inverse, const V16& largest, const V16& temp);
// x = the codes of x, as i32 lanes, as q8_code(x * inverse).
void emit_q8_codes(Emitter& e, const V16& x, const V16& inverse);

}  // namespace llamajit::jit
