// Key, Args and contract of what brings experts' results together.
#pragma once

#include <compare>
#include <cstdint>

#include "jit/base/fields.h"

namespace llamajit::jit {

// For each vector v in order: out = out + x[v] * weights[v] in [begin, end), the product and the sum rounded.
// Where the key doesn't add, out is zeros before.
struct MixArgs {
  const float* const* x;
  const float* weights;
  float* out;
  std::int64_t begin;
  std::int64_t end;

  static constexpr auto fields() {
    return Fields{
        field<&MixArgs::x>("(vectors), each (n)"),
        field<&MixArgs::weights>("(vectors)"),
        field<&MixArgs::out>("(n)"),
        field<&MixArgs::begin>("a multiple of 16"),
        field<&MixArgs::end>("> begin; n, or a multiple of 16"),
    };
  }
};
struct MixKey {
  using Args = MixArgs;
  int n;  // of the whole vectors
  int vectors;
  bool adds = true;                                 // to what out is
  auto operator<=>(const MixKey&) const = default;  // NOLINT: clang-tidy 14 compares bools as ints

  static constexpr auto fields() { return fields_of<&MixKey::n, &MixKey::vectors, &MixKey::adds>(); }
};

}  // namespace llamajit::jit
