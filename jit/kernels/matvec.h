// Key, Args and contract of a matrix times a vector.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "jit/base/fields.h"
#include "jit/formats/activations.h"
#include "jit/formats/format.h"
#include "jit/kernels/epilogue.h"

namespace llamajit::jit {

// out[t] = W x[t] for tokens t < tokens and the units [unit_begin, unit_end) of a packed matrix. A unit is a
// tile of 16 rows, where gated a tile of gate and one of up; the last one may be partly padding, whose rows
// are not stored. See formats/packing.h. Floats: sum over columns, 4 ways, each step rounded once (fma).
// bf16_pairs: sum over pairs of columns, 4 ways, of each pair the odd column first and then the even one, as
// VDPBF16PS does: each step rounded once, and subnormal numbers are zeros, those that come in as those that
// come out. Codes: each group's integer sum of (code - zero) * code of x, times the subscale where there are
// any, is exact; then over groups in order, each step rounded once:
//   v = float(isum) * scale
//   v = fma(float(msum), min, v), with minima; msum is the exact sum of (submin *) codes of x
//   acc = fma(v, scale of x, acc)
// Several tokens' x are multiplied side by side, so that the weights are read once for all: each has the
// sums, and the bits, that it has alone. Their rows of x and out lie as far apart as a prompt chunk's
// (formats/activations.h).
inline constexpr int kMostMatvecTokens = 16;
struct MatvecArgs {
  const std::byte* w;
  const float* x;
  QuantizedArgs xq;
  float* out;
  std::int64_t unit_begin;
  std::int64_t unit_end;
  const float* scales = nullptr;
  const float* bias = nullptr;

  static constexpr auto fields() {
    return Fields{
        field<&MatvecArgs::w>("(rows, cols), packed; where gated, gate and up"),
        field<&MatvecArgs::x>("(tokens, cols), where nothing prepares it"),
        field<&MatvecArgs::xq>("(tokens, cols), where something does"),
        field<&MatvecArgs::out>("(tokens, rows)"),
        field<&MatvecArgs::unit_begin>("the first unit, of 16 rows of out"),
        field<&MatvecArgs::unit_end>("behind the last unit"),
        field<&MatvecArgs::scales>("(1), where gated (2): gate's and up's"),
        field<&MatvecArgs::bias>("(rows), where gated (2, rows): gate's and up's"),
    };
  }
};
struct MatvecKey {
  using Args = MatvecArgs;
  Format format;
  int rows;  // of the result
  int cols;
  Epilogue epilogue;
  int streams = 1;  // tiles read side by side: 1, 2 or 4; changes no bit
  Affine affine{};
  int tokens = 1;  // 1..kMostMatvecTokens
  auto operator<=>(const MatvecKey&) const = default;

  static constexpr auto fields() {
    return fields_of<&MatvecKey::format, &MatvecKey::rows, &MatvecKey::cols, &MatvecKey::epilogue,
                     &MatvecKey::streams, &MatvecKey::affine, &MatvecKey::tokens>();
  }
};

}  // namespace llamajit::jit
