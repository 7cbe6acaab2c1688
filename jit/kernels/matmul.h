// Key, Args and contract of a matrix times the vectors of a prompt chunk.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

#include "jit/base/fields.h"
#include "jit/base/isa.h"
#include "jit/formats/activations.h"
#include "jit/formats/format.h"
#include "jit/kernels/epilogue.h"

namespace llamajit::jit {

// out[t] = W x[t] for tokens t < n_tokens, with the same sums in the same order as matvec: prompt chunks give
// the bits that single tokens give. Works in blocks of kTokenBlock tokens; the rows that fill up the last
// block are read and written too.
inline constexpr int kTokenBlock = 8;
struct MatmulArgs {
  const std::byte* w;
  const float* x;
  QuantizedArgs xq;
  std::byte* scratch;
  float* out;
  std::int64_t unit_begin;
  std::int64_t unit_end;
  std::int64_t n_tokens;
  const float* scales = nullptr;
  const float* bias = nullptr;

  static constexpr auto fields() {
    return Fields{
        field<&MatmulArgs::w>("(rows, cols), packed; where gated, gate and up"),
        field<&MatmulArgs::x>("(n_tokens, cols), where nothing prepares it"),
        field<&MatmulArgs::xq>("(n_tokens, cols), where something does"),
        field<&MatmulArgs::scratch>("matmul_scratch_bytes(), whose contents before and after mean nothing"),
        field<&MatmulArgs::out>("(n_tokens, rows)"),
        field<&MatmulArgs::unit_begin>("the first unit, of 16 rows of out"),
        field<&MatmulArgs::unit_end>("behind the last unit"),
        field<&MatmulArgs::n_tokens>(">= 1"),
        field<&MatmulArgs::scales>("(1), where gated (2): gate's and up's"),
        field<&MatmulArgs::bias>("(rows), where gated (2, rows): gate's and up's"),
    };
  }
};
struct MatmulKey {
  using Args = MatmulArgs;
  Format format;
  int rows;
  int cols;
  Epilogue epilogue;
  Affine affine{};
  auto operator<=>(const MatmulKey&) const = default;

  static constexpr auto fields() {
    return fields_of<&MatmulKey::format, &MatmulKey::rows, &MatmulKey::cols, &MatmulKey::epilogue,
                     &MatmulKey::affine>();
  }
};
// Whether a tier multiplies matrices of the format in tiles.
bool uses_tiles(Isa isa, Format format);
// Whether it multiplies them, without tiles, after codes have been multiplied by their subscales.
bool multiplies_byte_products(Isa isa, Format format);
// What the kernel of a tier wants.
std::int64_t matmul_scratch_bytes(const MatmulKey& key, Isa isa);

}  // namespace llamajit::jit
