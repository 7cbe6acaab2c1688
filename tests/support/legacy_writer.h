// Writes legacy ggml files, so that tests need no real models.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/checkpoint_writer.h"

namespace llamajit::test {

struct LegacyOptions {
  int ftype = 0;             // 0 f32, 1 f16, 2 q4_0, 3 q4_1
  int n_mult = 32;           // of which hidden_dim must follow
  int n_parts = 1;           // that share rows, or columns, evenly
  bool half_scales = false;  // scales and minima are numbers that f16 has
};

// The contents of a model's parts. It must have as many K/V heads as heads and a classifier of its own.
std::vector<std::string> legacy_files(const CheckpointWeights& weights,
                                      const std::vector<std::string>& pieces, const LegacyOptions& options);

// 32 weights in q4_0 or q4_1.
struct LegacyBlock {
  float scale = 0;
  float min = 0;
  std::uint8_t codes[32] = {};

  float value(int i) const;  // a multiplication, and for q4_1 an addition, rounded once
};
LegacyBlock legacy_block(const float* weights, const LegacyOptions& options);

// Returns the values that a matrix's weights have in the file.
std::vector<float> legacy_values(const std::vector<float>& matrix, const LegacyOptions& options);

}  // namespace llamajit::test
