// Floats to weights of any format.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/formats/format.h"

namespace llamajit::jit {

// n weights that stand in one row, whole groups of them, to the row's blocks. i2_s needs the scale of its
// tensor. Weights must be finite. The same on every machine.
// `importance` (n), finite and not negative, is how large the inputs of each column are, squared; what it says counts
// within a group, and beside that, but for formats of grids, the weight's own size. nullptr: all columns count alike, as
// in groups where it is zero throughout; and so do all weights, but in formats of few levels.
void quantize_row(FormatKind kind, const float* x, std::int64_t n, std::byte* blocks, float tensor_scale = 0,
                  const float* importance = nullptr);
// And back.
void dequantize_row(FormatKind kind, const std::byte* blocks, std::int64_t n, float* x,
                    float tensor_scale = 0);

// The bytes of n weights of one row; i2_s: without the scale.
std::int64_t row_bytes(FormatKind kind, std::int64_t n);

// For i2_s's one scale, which is the mean of those magnitudes that lie beyond half of it: what a part of the
// tensor has above a threshold. Start with threshold 0, and continue with half the mean.
struct Magnitudes {
  double sum = 0;
  std::int64_t count = 0;
};
Magnitudes magnitudes_above(const float* x, std::int64_t n, float threshold);

}  // namespace llamajit::jit
