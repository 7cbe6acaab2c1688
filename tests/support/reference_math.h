// What plain mathematics of a model is made of, in double.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "runtime/model/model_file.h"

namespace llamajit::test {

using Vector = std::vector<double>;

double value(const Tensor& tensor, std::size_t row, std::size_t col);
inline std::size_t rows(const Tensor& tensor) {
  return static_cast<std::size_t>(tensor.rows);
}
// The matrix times x, times the scale, plus the bias, where there are these.
Vector multiply(const Tensor& matrix, const Tensor& scale, const Tensor& bias, const Vector& x);
// In place, times the weight, plus the bias if there is one.
void normalise(std::span<double> x, jit::NormKind kind, double eps, const Tensor& weight, const Tensor& bias);
// What the feed-forward's first half ends with; `gate` is empty where nothing is gated.
Vector activated(jit::Epilogue activation, const Vector& gate, const Vector& up);
double capped(double x, double cap);
inline double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
// Of each head the matrix times x, one behind the other; transposed, where its rows are those of x.
Vector of_heads(const Tensor& heads, const Vector& x, int n_heads, bool transposed);

// Leaves of experts, given as what they are chosen by and their ids, those of the groups whose best or whose two
// best have the largest sums.
void keep_best_groups(const jit::RouteKey& route, std::vector<std::pair<double, std::size_t>>& choice);

}  // namespace llamajit::test
