#include "tests/support/products.h"

#include <cmath>

#include <fmt/format.h>

#include "tests/support/kernel_check.h"

namespace llamajit::test {

using jit::Epilogue;
using jit::Format;
using jit::FormatKind;

std::vector<Format> product_formats() {
  std::vector<Format> formats = {kF32};
  for (int group : kGroups) formats.push_back(q8(group));
  return formats;
}

std::string product_name(Epilogue epilogue, Format format) {
  static constexpr const char* kNames[] = {"store", "add", "swiglu"};
  const std::string name = kNames[static_cast<int>(epilogue)];
  return format.group == 0 ? name + "_f32" : fmt::format("{}_q8_0_{}", name, format.group);
}

double Activations::value(Format format, int col) const {
  if (format.kind == FormatKind::f32) return x[static_cast<std::size_t>(col)];
  const auto padded = jit::round_up(format.group, 4);
  return double{scales[static_cast<std::size_t>(col / format.group)]} *
         codes[static_cast<std::size_t>(col / format.group * padded + col % format.group)];
}

Activations random_activations(Format format, int cols, std::uint64_t seed) {
  CallMemory source(Edge::back, seed);
  Activations a;
  if (format.kind == FormatKind::f32) {
    a.x = source.random_floats(static_cast<std::size_t>(cols));
    return a;
  }
  for (int g = 0; g < cols / format.group; ++g) {
    std::int32_t sum = 0;
    for (int k = 0; k < jit::round_up(format.group, 4); ++k) {
      const int code = k < format.group ? static_cast<int>(source.random()() % 255) - 127 : 0;
      a.codes.push_back(static_cast<std::int8_t>(code));
      sum += code;
    }
    a.offsets.push_back(-128 * sum);
  }
  a.scales = source.random_floats(a.offsets.size(), 0.001F, 0.02F);
  return a;
}

ProductMatrix::ProductMatrix(Format format, int rows, int cols, Epilogue epilogue, std::uint64_t seed)
    : format_(format),
      rows_(rows),
      cols_(cols),
      epilogue_(epilogue),
      random_(seed),
      main_(format, rows, cols, random_),
      up_(format, rows, cols, random_),
      packed_(epilogue == Epilogue::swiglu ? packed_pair(format, cols, main_, up_) : main_.packed()) {}

Sum ProductMatrix::dot(const RandomMatrix& matrix, const Activations& x, int row) const {
  Sum sum;
  double magnitude = 0;
  for (int col = 0; col < cols_; ++col) {
    const double term = matrix.value(row, col) * x.value(format_, col);
    sum.value += term;
    magnitude += std::abs(term);
  }
  // f32: one rounding a term of a way; q8_0: three a group.
  const int roundings = format_.kind == FormatKind::f32 ? cols_ / 4 + 4 : cols_ / format_.group + 4;
  sum.bound = roundings * kEps * magnitude;
  return sum;
}

Sum ProductMatrix::result(const Activations& x, int row, float old) const {
  const Sum sum = dot(main_, x, row);
  if (epilogue_ == Epilogue::store) return sum;
  if (epilogue_ == Epilogue::add) {
    return {old + sum.value, sum.bound + kEps * (std::abs(old + sum.value) + sum.bound)};
  }
  const Sum up = dot(up_, x, row);
  const double silu = sum.value / (1 + std::exp(-sum.value));
  const double silu_bound = 1.1 * sum.bound + 8 * kEps * std::abs(silu);  // silu's slope is at most 1.0999
  const double value = silu * up.value;
  return {value,
          silu_bound * (std::abs(up.value) + up.bound) + std::abs(silu) * up.bound + kEps * std::abs(value)};
}

}  // namespace llamajit::test
