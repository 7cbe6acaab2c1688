// Floats of 16 bits, converted as the instructions convert them.
#pragma once

#include <bit>
#include <cstdint>

namespace llamajit::jit {

// IEEE binary16, to nearest even, as the F16C instructions convert.
inline std::uint16_t float_to_half(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t magnitude = bits & 0x7FFFFFFF;
  std::uint32_t half = 0;
  if (magnitude > 0x7F800000) {
    half = 0x7E00 | (magnitude >> 13 & 0x3FF);  // a quiet NaN keeps the upper bits of its payload
  } else if (magnitude >= 0x47800000) {
    half = 0x7C00;  // 65536 and above
  } else if (magnitude < 0x38800000) {
    // Below the smallest normal half: adding 0.5 leaves the subnormal's bits, rounded, at the bottom.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3F000000;
  } else {
    half = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;  // the carry may reach infinity
  }
  return static_cast<std::uint16_t>(sign | half);
}

inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1F;
  const std::uint32_t fraction = half & 0x3FF;
  std::uint32_t bits = 0;
  if (exponent == 0) {
    bits = std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24F);
  } else if (exponent == 31) {
    bits = 0x7F800000 | fraction << 13 | (fraction != 0 ? 0x400000 : 0);
  } else {
    bits = (exponent + 112) << 23 | fraction << 13;
  }
  return std::bit_cast<float>(sign | bits);
}

// bfloat16: the upper half of a float, to nearest even. Every NaN becomes the same one.
inline constexpr std::uint16_t kBfloatNaN = 0xFFFF;
inline std::uint16_t float_to_bfloat(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return kBfloatNaN;
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace llamajit::jit
