// The arithmetic that scalar twins share with generated code: the same steps, each rounded the same way.
#pragma once

#include <bit>
#include <cstdint>
#include <iterator>
#include <limits>

#include "jit/base/float_bits.h"
#include "jit/base/lanes.h"

namespace llamajit::jit {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

// a*b + c rounded once, without needing the FMA instruction (or libm's substitute): the product of two floats
// is exact in a double, the sum is brought to odd when it is not (Boldo & Melquiond, "Emulation of FMA and
// correctly rounded sums", 2008), and then rounding to float can't round twice.
inline float fused(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = c;
  const double sum = product + addend;
  const double from_addend = sum - product;
  const double error = (product - (sum - from_addend)) + (addend - from_addend);
  auto bits = std::bit_cast<std::int64_t>(sum);
  if ((error > 0 || error < 0) && (bits & 1) == 0) bits += (error > 0) == (sum > 0) ? 1 : -1;
  return static_cast<float>(std::bit_cast<double>(bits));
}

// The instructions' max and min: the second operand unless
// the first is strictly greater (less); so with a NaN.
inline float max2(float a, float b) {
  return a > b ? a : b;
}
inline float min2(float a, float b) {
  return a < b ? a : b;
}

// exp's constants: x = n ln2 + r, e^x = 2^n p(r). ln2 in two parts so that n*hi is exact; p is Cephes' expf
// polynomial (S. Moshier), highest power first.
namespace exp_constants {
inline constexpr float kLowest = -87.33654F;  // e^x is the smallest normal float
inline constexpr float kHighest = 88.0F;
inline constexpr float kLog2e = 1.44269504F;
inline constexpr float kRounder =
    12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
inline constexpr float kLn2High = 0.693359375F;
inline constexpr float kLn2Low = -2.12194440e-4F;
inline constexpr float kPolynomial[] = {1.9875691500e-4F,
                                        1.3981999507e-3F,
                                        8.3334519073e-3F,
                                        4.1665795894e-2F,
                                        1.6666665459e-1F,
                                        5.0000001201e-1F,
                                        1.0F,
                                        1.0F};
inline constexpr std::uint32_t kOneBits = 0x3F800000;
}  // namespace exp_constants

// e^x within 2 ulp for x in [kLowest, kHighest], clamped to that range; NaN gives e^kLowest.
inline float exp_f32(float x) {
  using namespace exp_constants;
  x = min2(max2(x, kLowest), kHighest);
  const float rounded = fused(x, kLog2e, kRounder);
  const float n = rounded - kRounder;
  float r = fused(n, -kLn2High, x);
  r = fused(n, -kLn2Low, r);
  float p = kPolynomial[0];
  for (std::size_t i = 1; i < std::size(kPolynomial); ++i) p = fused(p, r, kPolynomial[i]);
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(rounded) << 23) + kOneBits);
  return p * power;
}

// log's constants: x = 2^n m, m in [sqrt(1/2), sqrt(2)), r = m - 1, log x = n ln2 + r - r^2 / 2 + r^3 p(r); p
// is Cephes' logf polynomial (S. Moshier), highest power first, and ln2 is in exp's two parts.
namespace log_constants {
inline constexpr std::uint32_t kSqrtHalfBits = 0x3F3504F3;
inline constexpr std::uint32_t kToOne = exp_constants::kOneBits - kSqrtHalfBits;
inline constexpr std::uint32_t kMantissa = 0x007FFFFF;
inline constexpr float kBias = 127.0F;
inline constexpr float kPolynomial[] = {7.0376836292e-2F,  -1.1514610310e-1F, 1.1676998740e-1F,
                                        -1.2420140846e-1F, 1.4249322787e-1F,  -1.6668057665e-1F,
                                        2.0000714765e-1F,  -2.4999993993e-1F, 3.3333331174e-1F};
}  // namespace log_constants

// log x within 2 ulp for positive normal x; what it gives for others is the same on every tier.
inline float log_f32(float x) {
  using namespace log_constants;
  const std::uint32_t shifted = std::bit_cast<std::uint32_t>(x) + kToOne;
  const float n = static_cast<float>(shifted >> 23) - kBias;
  const float r = std::bit_cast<float>((shifted & kMantissa) + kSqrtHalfBits) - 1.0F;
  const float square = r * r;
  float p = kPolynomial[0];
  for (std::size_t i = 1; i < std::size(kPolynomial); ++i) p = fused(p, r, kPolynomial[i]);
  p = p * r * square;
  p = fused(n, exp_constants::kLn2Low, p);
  p = fused(square, -0.5F, p);
  return fused(n, exp_constants::kLn2High, r + p);
}

inline float sigmoid(float x) {
  return 1.0F / (1.0F + exp_f32(0.0F - x));
}

inline float silu(float g) {
  return g / (1.0F + exp_f32(0.0F - g));
}

namespace swiglu_clamped_constants {
inline constexpr float kLimit = 7;
inline constexpr float kSlope = -1.702F;
}  // namespace swiglu_clamped_constants

inline float swiglu_clamped(float gate, float up) {
  using namespace swiglu_clamped_constants;
  const float g = min2(gate, kLimit);
  const float u = max2(min2(up, kLimit), -kLimit);
  return g / (1.0F + exp_f32(g * kSlope)) * (u + 1.0F);
}

// log(1 + e^x), beyond kLinear x itself, which it is there within half an ulp; NaN stays NaN.
namespace softplus_constants {
inline constexpr float kLinear = 20.0F;
}  // namespace softplus_constants
inline float softplus(float x) {
  return max2(log_f32(1.0F + exp_f32(min2(x, softplus_constants::kLinear))), x);
}

namespace gelu_constants {
inline constexpr float kCubic = 0.044715F;
inline constexpr float kLinear = -1.5957691216F;  // -2 sqrt(2 / pi)
}  // namespace gelu_constants

// GELU by tanh's approximation, as Epilogue::gelu says.
inline float gelu(float x) {
  using namespace gelu_constants;
  const float minus_2z = fused(x * x, kCubic, 1.0F) * kLinear * x;
  return x / (1.0F + exp_f32(minus_2z));
}

inline float squared_relu(float x) {
  const float positive = max2(x, 0.0F);
  return positive * positive;
}

// x, softly kept within -cap and cap: cap * tanh(x / cap), as CapKey says.
inline float capped(float x, float cap) {
  return cap - (2 * cap) / (1.0F + exp_f32(x * (2 / cap)));
}

// No group's largest magnitude counts as less, so that a group of zeros divides nothing by zero.
inline constexpr float kSmallestMagnitude = 1e-30F;
// A group's scale and what its values are multiplied by to become codes (QuantizeKey).
struct Q8Scale {
  float scale;
  float inverse;
};
inline Q8Scale q8_scale(const float* x, int n) {
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = max2(x[i] < 0 ? -x[i] : x[i], largest);
  largest = max2(largest, kSmallestMagnitude);
  return {largest * (1.0F / 127.0F), 127.0F / largest};
}
// float to int8, to nearest even; NaN becomes -127. x is at most 127 but for its rounding.
inline std::int8_t q8_code(float x) {
  const float rounded = (max2(x, -127.0F) + exp_constants::kRounder) - exp_constants::kRounder;
  return static_cast<std::int8_t>(rounded);
}

// Sixteen lanes as an array, with the emitter's way of folding them.
struct Lanes {
  float v[kLanes] = {};

  float fold_add() const {
    Lanes a = *this;
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) a.v[i] = a.v[i] + a.v[i + half];
    }
    return a.v[0];
  }
  float fold_max() const {
    Lanes a = *this;
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) a.v[i] = max2(a.v[i], a.v[i + half]);
    }
    return a.v[0];
  }
};

// x = exp(x - max x) over n values, in steps of sixteen lanes, for which there must be sixteen places behind
// them; they become zeros.
struct Exponentials {
  float maximum;
  float sum;
};
inline Exponentials exponentials(float* x, int n) {
  for (int i = n; i < n + kLanes; ++i) x[i] = -kInfinity;
  Lanes best;
  for (float& lane : best.v) lane = -kInfinity;
  for (int i = 0; i < round_up(n, kLanes); ++i) best.v[i % kLanes] = max2(best.v[i % kLanes], x[i]);
  const float maximum = best.fold_max();
  Lanes sum;
  for (int i = 0; i < round_up(n, kLanes); ++i) {
    x[i] = exp_f32(x[i] - maximum);
    sum.v[i % kLanes] += x[i];
  }
  for (int i = n; i < n + kLanes; ++i) x[i] = 0;
  return {maximum, sum.fold_add()};
}

// (a0+a1)+(a2+a3): how the 2 or 4 ways of a sum come together.
inline float tree_sum(const float* ways, int n) {
  if (n == 1) return ways[0];
  if (n == 2) return ways[0] + ways[1];
  return (ways[0] + ways[1]) + (ways[2] + ways[3]);
}

}  // namespace llamajit::jit
