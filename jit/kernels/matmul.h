// Key, Args and contract of a matrix times the vectors of a prompt chunk.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

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
  const float* x;      // (n_tokens, cols), as matvec's
  QuantizedArgs xq;    // (n_tokens, cols), the same
  std::byte* scratch;  // matmul_scratch_bytes(), whose contents before and after mean nothing
  float* out;          // (n_tokens, rows)
  std::int64_t unit_begin;
  std::int64_t unit_end;
  std::int64_t n_tokens;          // >= 1
  const float* scales = nullptr;  // as matvec's
  const float* bias = nullptr;
};
struct MatmulKey {
  using Args = MatmulArgs;
  Format format;
  int rows;
  int cols;
  Epilogue epilogue;
  Affine affine{};
  auto operator<=>(const MatmulKey&) const = default;
};
std::int64_t matmul_scratch_bytes(const MatmulKey& key);

}  // namespace llamajit::jit
