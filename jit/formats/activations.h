// How activations lie in memory once they are prepared for matrices
// of a weight format: quantised to int8, or rounded to bf16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "jit/base/fields.h"
#include "jit/base/lanes.h"

namespace llamajit::jit {

// Activations as the int8 dot product takes them: for each `group` values one scale; codes in -127..127, a
// group's codes padded with zeros to a multiple of 4. What each subgroup's codes add up to takes the weights'
// zero point out of their products, or is multiplied with their minimum: one of the three is there.
struct QuantizedArgs {
  std::int8_t* codes;
  float* scales;
  std::int32_t* offsets;
  float* sums;
  std::int16_t* subsums;

  static constexpr auto fields() {
    return Fields{
        field<&QuantizedArgs::codes>(
            "(n / group, group rounded up to 4); bf16: (n rounded up to 2), two bytes each"),
        field<&QuantizedArgs::scales>("(n / group)"),
        field<&QuantizedArgs::offsets>("(n / subgroup): -zero * sum of the codes; where zero > 0"),
        field<&QuantizedArgs::sums>("(n / group): sum of the codes; where zero is 0, without subgroups"),
        field<&QuantizedArgs::subsums>(
            "(n / subgroup): sum of the codes; where zero is 0 and subgroup < group"),
    };
  }
};

// Those that activations in these groups have, by their place in QuantizedArgs.
struct Subnumbers {
  std::size_t at;
  int bytes;  // of one
  std::string_view name;
};
constexpr Subnumbers subnumbers(int group, int subgroup, int zero) {
  if (zero > 0) return {offsetof(QuantizedArgs, offsets), sizeof(std::int32_t), "offsets"};
  if (subgroup == group) return {offsetof(QuantizedArgs, sums), sizeof(float), "sums"};
  return {offsetof(QuantizedArgs, subsums), sizeof(std::int16_t), "subsums"};
}

constexpr std::int64_t rounded_bytes(std::int64_t n) {
  return round_up(n, 2) * 2;
}

// A prompt chunk's activations are matrices with a row for each token. Rows lie this many elements apart:
// whole cache lines, and never a power of two, which would put all rows into the same few cache sets.
constexpr std::int64_t row_stride(std::int64_t n) {
  return round_up(n, 32) + 32;
}
// The same of rows of prepared activations, codes or rounded, which take `bytes`.
constexpr std::int64_t prepared_stride(std::int64_t bytes) {
  return round_up(bytes, 64) + 64;
}
// The codes of a quantised row of n values take this many bytes; scales and sums lie n / group apart, offsets and subsums
// n / subgroup.
constexpr std::int64_t quantized_codes(std::int64_t n, int group) {
  return n / group * round_up(group, 4);
}

}  // namespace llamajit::jit
