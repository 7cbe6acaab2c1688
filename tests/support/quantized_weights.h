// Rows of weights, and what the quantiser makes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "jit/formats/quantizer.h"

namespace llamajit::test {

// As runtime/convert/quantization.cpp finds it.
inline float scale_of_tensor(const std::vector<float>& x) {
  float scale = 0;
  for (int i = 0; i < 20; ++i) {
    const auto [sum, count] = jit::magnitudes_above(x.data(), static_cast<std::int64_t>(x.size()), scale / 2);
    scale = count == 0 ? 0 : static_cast<float>(sum / static_cast<double>(count));
  }
  return scale;
}

inline std::vector<std::byte> blocks_of(jit::FormatKind kind, const std::vector<float>& x,
                                        const std::vector<float>& importance = {}) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(jit::row_bytes(kind, n)));
  jit::quantize_row(kind, x.data(), n, blocks.data(), scale_of_tensor(x),
                    importance.empty() ? nullptr : importance.data());
  return blocks;
}

// Sums of four numbers -127..127, which are the same with every standard library.
inline std::vector<float> plain_weights() {
  std::mt19937 random(7);
  std::vector<float> x(1024);
  for (float& weight : x) {
    int sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<int>(random() % 255) - 127;
    weight = static_cast<float>(sum) / 4096;
  }
  return x;
}

}  // namespace llamajit::test
