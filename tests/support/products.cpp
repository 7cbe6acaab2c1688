#include "tests/support/products.h"

#include <cmath>

#include <fmt/format.h>

#include "tests/support/kernel_check.h"

namespace llamajit::test {

using jit::Epilogue;
using jit::Format;

std::string product_name(Epilogue epilogue, Format format) {
  static constexpr const char* kNames[] = {"store", "add", "swiglu"};
  return fmt::format("{}_{}", kNames[static_cast<int>(epilogue)], name_of(format));
}

double Activations::value(Format format, int col) const {
  if (!has_codes(format)) return x[static_cast<std::size_t>(col)];
  const auto padded = jit::round_up(format.group, 4);
  return double{scales[static_cast<std::size_t>(col / format.group)]} *
         codes[static_cast<std::size_t>(col / format.group * padded + col % format.group)];
}

Activations random_activations(Format format, int cols, std::uint64_t seed) {
  CallMemory source(Edge::back, seed);
  Activations a;
  if (!has_codes(format)) {
    a.x = source.random_floats(static_cast<std::size_t>(cols));
    return a;
  }
  const jit::InputFormat input = input_format(format);
  a.scales = source.random_floats(static_cast<std::size_t>(cols / input.group), 0.001F, 0.02F);
  for (const float scale : a.scales) {
    for (int s = 0; s < input.group / input.subgroup; ++s) {
      std::int32_t sum = 0;
      for (int k = 0; k < jit::round_up(input.subgroup, 4); ++k) {
        const int code = k < input.subgroup ? static_cast<int>(source.random()() % 255) - 127 : 0;
        a.codes.push_back(static_cast<std::int8_t>(code));
        sum += code;
      }
      a.offsets.push_back(-input.zero * sum);
      a.sums.push_back(static_cast<float>(sum) * scale);
    }
  }
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
    magnitude += matrix.magnitude(row, col) * std::abs(x.value(format_, col));
  }
  // Floats: one rounding a term of a way; codes: two additions a subgroup, and what they add is rounded.
  const int roundings = has_codes(format_) ? 2 * (cols_ / input_format(format_).subgroup) + 6 : cols_ / 4 + 4;
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
