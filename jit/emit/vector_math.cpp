#include "jit/emit/vector_math.h"

#include "jit/base/scalar_math.h"

namespace llamajit::jit {

void emit_exp(Emitter& e, const V16& x, const V16& t0, const V16& t1) {
  using namespace exp_constants;
  e.note("e^x, x within the range of f32");
  e.max(x, x, f32(kLowest));
  e.min(x, x, f32(kHighest));
  e.note("n = round(x / ln 2), x -= n * ln 2");
  const V16& rounded = t0;  // the integer n nearest to x/ln2 stands in its low bits
  e.broadcast(rounded, f32(kRounder));
  e.fma(rounded, x, f32(kLog2e));
  const V16& n = t1;
  e.sub(n, rounded, f32(kRounder));
  e.fma(x, n, f32(-kLn2High));  // x is now r
  e.fma(x, n, f32(-kLn2Low));
  e.note("2^n");
  const V16& power = rounded;  // 2^n
  e.shift_left(power, rounded, 23);
  e.add_i32(power, power, Const{kOneBits});
  e.note("e^x = 2^n * a polynomial of degree {} in x", std::size(kPolynomial) - 1);
  const V16& p = t1;
  e.broadcast(p, f32(kPolynomial[0]));
  for (std::size_t i = 1; i < std::size(kPolynomial); ++i) e.muladd(p, x, f32(kPolynomial[i]));
  e.mul(x, p, power);
}

void emit_log(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2) {
  using namespace log_constants;
  e.note("x = 2^n * m, m from sqrt(1/2) to sqrt(2), x = m - 1");
  e.add_i32(t0, x, Const{kToOne});
  const V16& n = t1;
  e.shift_right(n, t0, 23);
  e.to_float(n, n);
  e.sub(n, n, f32(kBias));
  e.and_bits(x, t0, Const{kMantissa});
  e.add_i32(x, x, Const{kSqrtHalfBits});
  e.sub(x, x, f32(1.0F));
  e.note("log m = x - x^2 / 2 + x^3 * a polynomial of degree {} in x", std::size(kPolynomial) - 1);
  const V16& square = t0;
  e.mul(square, x, x);
  const V16& p = t2;
  e.broadcast(p, f32(kPolynomial[0]));
  for (std::size_t i = 1; i < std::size(kPolynomial); ++i) e.muladd(p, x, f32(kPolynomial[i]));
  e.mul(p, p, x);
  e.mul(p, p, square);
  e.note("log x = log m + n * ln 2");
  e.fma(p, n, f32(exp_constants::kLn2Low));
  e.fma(p, square, f32(-0.5F));
  e.add(x, x, p);
  e.fma(x, n, f32(exp_constants::kLn2High));
}

void emit_sigmoid(Emitter& e, const V16& x, const V16& t0, const V16& t1) {
  e.note("sigmoid(x) = 1 / (1 + e^-x)");
  e.zero(t0);
  e.sub(x, t0, x);
  emit_exp(e, x, t0, t1);
  e.note("x = 1 / (1 + e^-x)");
  e.add(x, x, f32(1.0F));
  e.broadcast(t0, f32(1.0F));
  e.div(x, t0, x);
}

void emit_softplus(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2, const V16& t3) {
  using namespace softplus_constants;
  e.note("softplus(x) = log(1 + e^x), x itself beyond {}", kLinear);
  e.min(t0, x, f32(kLinear));
  emit_exp(e, t0, t1, t2);
  e.add(t0, t0, f32(1.0F));
  emit_log(e, t0, t1, t2, t3);
  e.max(x, t0, x);
}

void emit_silu(Emitter& e, const V16& g, const V16& t0, const V16& t1, const V16& t2) {
  e.note("silu(g) = g / (1 + e^-g)");
  e.zero(t0);
  e.sub(t0, t0, g);
  emit_exp(e, t0, t1, t2);
  e.note("g /= 1 + e^-g");
  e.add(t0, t0, f32(1.0F));
  e.div(g, g, t0);
}

void emit_swiglu_clamped(Emitter& e, const V16& g, const V16& u, const V16& t0, const V16& t1,
                         const V16& t2) {
  using namespace swiglu_clamped_constants;
  e.note("g = min(gate, {}), u = max(min(up, {}), {})", kLimit, kLimit, -kLimit);
  e.min(g, g, f32(kLimit));
  e.min(u, u, f32(kLimit));
  e.max(u, u, f32(-kLimit));
  e.note("g / (1 + e^({} g)) * (u + 1)", kSlope);
  e.mul(t0, g, f32(kSlope));
  emit_exp(e, t0, t1, t2);
  e.add(t0, t0, f32(1.0F));
  e.div(g, g, t0);
  e.add(u, u, f32(1.0F));
  e.mul(g, g, u);
}

void emit_gelu(Emitter& e, const V16& x, const V16& t0, const V16& t1, const V16& t2) {
  using namespace gelu_constants;
  e.note("gelu(x) = x / (1 + e^-2z), z = sqrt(2 / pi) * (x + 0.044715 x^3)");
  e.mul(t1, x, x);
  e.broadcast(t0, f32(1.0F));
  e.broadcast(t2, f32(kCubic));
  e.fma(t0, t1, t2);
  e.mul(t0, t0, f32(kLinear));
  e.mul(t0, t0, x);
  emit_exp(e, t0, t1, t2);
  e.note("x /= 1 + e^-2z");
  e.add(t0, t0, f32(1.0F));
  e.div(x, x, t0);
}

void emit_cap(Emitter& e, const V16& x, float cap, const V16& t0, const V16& t1) {
  e.note("x = {} * tanh(x / {}) = {} - {} / (1 + e^(x * {}))", cap, cap, cap, 2 * cap, 2 / cap);
  e.mul(x, x, f32(2 / cap));
  emit_exp(e, x, t0, t1);
  e.note("x = {} - {} / (1 + x)", cap, 2 * cap);
  e.add(x, x, f32(1.0F));
  e.broadcast(t0, f32(2 * cap));
  e.div(t0, t0, x);
  e.broadcast(x, f32(cap));
  e.sub(x, x, t0);
}

void emit_inverse_sum(Emitter& e, const V16& inverse, const V16& x, const V16& temp) {
  const Xbyak::Xmm one(temp.part[0].getIdx());
  const Vec sum = e.fold_add(x, temp);
  e.note("inverse = 1 / sum");
  e.name(inverse, "inverse");
  e.vmovss(one, e.constant(f32(1.0F)));
  e.vdivss(one, one, sum);
  e.broadcast_lane0(inverse, one);
}

void emit_q8_scale(Emitter& e, const RegExp& scale, const V16& inverse, const V16& largest, const V16& temp) {
  const Vec top = e.fold_max(largest, temp);
  const Vec quotient = xmm_of(temp.part[0]);
  e.note("scale = largest / 127, inverse = 127 / largest");
  e.vmaxss(top, top, e.constant(f32(kSmallestMagnitude)));
  e.vmovss(quotient, e.constant(f32(127.0F)));
  e.vdivss(quotient, quotient, top);
  e.vmulss(top, top, e.constant(f32(1.0F / 127.0F)));
  e.vmovss(e.ptr[scale], top);
  e.broadcast_lane0(inverse, quotient);
}

void emit_q8_codes(Emitter& e, const V16& x, const V16& inverse) {
  e.mul(x, x, inverse);
  e.max(x, x, f32(-127.0F));  // where it is NaN
  e.to_int(x, x);
}

}  // namespace llamajit::jit
