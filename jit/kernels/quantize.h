// Keys, Args and contracts of what prepares activations: quantising and rounding.
#pragma once

#include <compare>

#include "jit/base/fields.h"
#include "jit/base/scalar_math.h"
#include "jit/formats/activations.h"

namespace llamajit::jit {

// scale = max|x| / 127 within the group; code = x * (127 / max|x|) rounded to nearest even. max|x| counts as
// at least kSmallestMagnitude, so that a group of zeros divides nothing by zero. A NaN does not count for the
// maximum and gets the code -127, as does an infinity.
struct QuantizeArgs {
  const float* x;
  QuantizedArgs out;

  static constexpr auto fields() {
    return Fields{
        field<&QuantizeArgs::x>("(n)"),
        field<&QuantizeArgs::out>("RoundKey: codes alone"),
    };
  }
};
struct QuantizeKey {
  using Args = QuantizeArgs;
  int n;
  int group;     // divides n
  int subgroup;  // divides group; 16, 32, or the group
  int zero;      // a power of two, or 0

  bool has_subsums() const { return zero == 0 && subgroup < group; }
  Subnumbers numbers() const { return subnumbers(group, subgroup, zero); }
  auto operator<=>(const QuantizeKey&) const = default;

  static constexpr auto fields() {
    return fields_of<&QuantizeKey::n, &QuantizeKey::group, &QuantizeKey::subgroup, &QuantizeKey::zero>();
  }
};

// out.codes = x rounded to bf16 (to nearest even), two bytes each, an odd last one with a zero behind it; the
// rest of `out` is not there. It is what matrices of bf16_pairs multiply.
struct RoundKey {
  using Args = QuantizeArgs;
  int n;
  auto operator<=>(const RoundKey&) const = default;

  static constexpr auto fields() { return fields_of<&RoundKey::n>(); }
};

}  // namespace llamajit::jit
