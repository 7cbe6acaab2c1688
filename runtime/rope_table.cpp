#include "runtime/rope_table.h"

#include <cmath>
#include <vector>

namespace llamajit {

RopeTable::RopeTable(int positions, int head_dim, float theta)
    : memory_(static_cast<std::size_t>(positions) * 2 * static_cast<std::size_t>(head_dim) * sizeof(float),
              "RoPE table") {
  std::vector<double> frequencies;
  for (int i = 0; i < head_dim; i += 2)
    frequencies.push_back(std::pow(theta, -static_cast<double>(i) / head_dim));
  float* cosine = reinterpret_cast<float*>(memory_.data());
  for (int pos = 0; pos < positions; ++pos) {
    float* const sine = cosine + head_dim;
    for (int i = 0; i < head_dim; i += 2) {
      const double angle = pos * frequencies[static_cast<std::size_t>(i / 2)];
      cosine[i] = cosine[i + 1] = static_cast<float>(std::cos(angle));
      sine[i + 1] = static_cast<float>(std::sin(angle));
      sine[i] = -sine[i + 1];
    }
    cosine += std::ptrdiff_t{2} * head_dim;
  }
}

}  // namespace llamajit
