#include "tests/support/products.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "jit/base/scalar_math.h"

namespace llamajit::test {

using jit::Epilogue;
using jit::Format;

std::string product_name(const Finish& finish, Format format) {
  return fmt::format("{}{}{}_{}", finish.affine.scale ? "scaled_" : "", finish.affine.bias ? "bias_" : "",
                     to_string(finish.epilogue), name_of(format));
}

void fill_record(const jit::CodesLayout& layout, int code, int subscale, std::byte* record) {
  for (const jit::Plane& plane : layout.planes()) {
    int byte = 0;
    for (int i = 0; i < plane.steps(); ++i) {
      byte |= (code >> plane.position & ((1 << plane.bits) - 1)) << i * plane.bits;
    }
    std::fill_n(record + plane.at, layout.padded * plane.bits / 8 * jit::kLanes,
                static_cast<std::byte>(byte));
  }
  if (!layout.subscales) return;
  std::fill_n(record + layout.subscales.at, layout.subgroups() * jit::kLanes,
              static_cast<std::byte>(subscale));
}

std::vector<double> Activations::values(Format format) const {
  if (!has_codes(format)) return {x.begin(), x.end()};  // rounded, where pairs are multiplied
  const auto group = static_cast<std::size_t>(format.group);
  const auto padded = static_cast<std::size_t>(jit::round_up(format.group, 4));
  std::vector<double> values;
  values.reserve(scales.size() * group);
  for (std::size_t g = 0; g < scales.size(); ++g) {
    for (std::size_t k = 0; k < group; ++k) values.push_back(double{scales[g]} * codes[g * padded + k]);
  }
  return values;
}

void round_to_pairs(Activations& a) {
  a.codes.resize(static_cast<std::size_t>(jit::rounded_bytes(std::ssize(a.x))));
  for (std::size_t i = 0; i < a.x.size(); ++i) {
    const std::uint16_t rounded = jit::float_to_bfloat(a.x[i]);
    std::memcpy(&a.codes[2 * i], &rounded, sizeof rounded);
    a.x[i] = jit::bfloat_to_float(rounded);
  }
}

Activations random_activations(Format format, int cols, std::uint64_t seed) {
  CallMemory source(Edge::back, seed);
  Activations a;
  if (!has_codes(format)) {
    a.x = source.random_floats(static_cast<std::size_t>(cols));
    if (format.kind == jit::FormatKind::bf16_pairs) round_to_pairs(a);
    return a;
  }
  const jit::InputFormat input = *input_format(format);
  a.scales = source.random_floats(static_cast<std::size_t>(cols / input.group), 0.001F, 0.02F);
  for (std::size_t group = 0; group < a.scales.size(); ++group) {
    for (int s = 0; s < input.group / input.subgroup; ++s) {
      std::int32_t sum = 0;
      for (int k = 0; k < jit::round_up(input.subgroup, 4); ++k) {
        const int code = k < input.subgroup ? static_cast<int>(source.random()() % 255) - 127 : 0;
        a.codes.push_back(static_cast<std::int8_t>(code));
        sum += code;
      }
      a.offsets.push_back(-input.zero * sum);
      a.sums.push_back(static_cast<float>(sum));
      a.subsums.push_back(static_cast<std::int16_t>(sum));
    }
  }
  return a;
}

TokenActivations::TokenActivations(Format format, int cols, int n_tokens, std::uint64_t seed)
    : format_(format), cols_(cols) {
  for (int t = 0; t < n_tokens; ++t) {
    tokens_.push_back(random_activations(format, cols, seed + static_cast<std::uint64_t>(t)));
  }
}

ProductMatrix::ProductMatrix(Format format, int rows, int cols, const Finish& finish, std::uint64_t seed)
    : format_(format),
      rows_(rows),
      cols_(cols),
      finish_(finish),
      random_(seed),
      main_(format, rows, cols, random_),
      up_(format, rows, cols, random_),
      packed_(is_gated(finish.epilogue) ? packed_pair(format, cols, main_, up_) : main_.packed()) {
  CallMemory source(Edge::back, seed + 1);
  if (finish.affine.scale) scales_ = source.random_floats(is_gated(finish.epilogue) ? 2 : 1, 0.5F, 2.0F);
  if (finish.affine.bias) {
    bias_ = source.random_floats(static_cast<std::size_t>(is_gated(finish.epilogue) ? 2 * rows : rows));
  }
}

Sum ProductMatrix::dot(const RandomMatrix& matrix, const std::vector<double>& x, int row) const {
  Sum sum;
  double magnitude = 0;
  for (int col = 0; col < cols_; ++col) {
    const double input = x[static_cast<std::size_t>(col)];
    sum.value += matrix.value(row, col) * input;
    magnitude += matrix.magnitude(row, col) * std::abs(input);
  }
  // Floats: one rounding a term of a way; codes: two additions a subgroup, and what they add is rounded.
  const int roundings =
      has_codes(format_) ? 2 * (cols_ / input_format(format_)->subgroup) + 6 : cols_ / 4 + 4;
  sum.bound = roundings * kEps * magnitude;
  return sum;
}

// With scale and bias; `matrix` is 0, or 1 for up.
Sum ProductMatrix::finished(Sum sum, std::size_t matrix, int row) const {
  const auto round = [&] { sum.bound += kEps * (std::abs(sum.value) + sum.bound); };
  if (!scales_.empty()) {
    sum.value *= scales_[matrix];
    sum.bound *= scales_[matrix];
    round();
  }
  if (!bias_.empty()) {
    sum.value += bias_[matrix * static_cast<std::size_t>(rows_) + static_cast<std::size_t>(row)];
    round();
  }
  return sum;
}

namespace {

// An activation of the sum, whose slope is at most `slope` nearby.
Sum activated(double value, const Sum& sum, double slope) {
  return {value, slope * sum.bound + 8 * kEps * std::abs(value)};
}

Sum silu(const Sum& g) {
  return activated(g.value / (1 + std::exp(-g.value)), g, 1.1);  // 1.0999
}

Sum clamped(const Sum& x, double lowest) {
  return {std::clamp(x.value, lowest, 7.0), x.bound};
}

Sum clamped_silu(const Sum& gate) {
  const Sum g = clamped(gate, -1e300);
  return activated(g.value / (1 + std::exp(-1.702 * g.value)), g, 1.1);
}

Sum gelu(const Sum& x) {
  const double z = std::sqrt(2 / std::numbers::pi) * (x.value + 0.044715 * std::pow(x.value, 3));
  // The exponent of e^-2z is rounded: where it is large, so is the error of the power, but then it is next to
  // nothing beside 1, or makes the result small.
  Sum result = activated(x.value * (1 + std::tanh(z)) / 2, x, 1.13);
  result.bound += 8 * kEps * std::abs(x.value);
  return result;
}

Sum squared_relu(const Sum& g) {
  const double positive = std::max(g.value, 0.0);
  return activated(positive * positive, g, 2 * positive + g.bound);
}

Sum product(const Sum& a, const Sum& b) {
  const double value = a.value * b.value;
  return {value,
          a.bound * (std::abs(b.value) + b.bound) + std::abs(a.value) * b.bound + kEps * std::abs(value)};
}

}  // namespace

Sum ProductMatrix::result(const std::vector<double>& x, int row, float old) const {
  const Sum sum = finished(dot(main_, x, row), 0, row);
  const auto up = [&] { return finished(dot(up_, x, row), 1, row); };
  switch (finish_.epilogue) {
    case Epilogue::store:
      return sum;
    case Epilogue::add:
      return {old + sum.value, sum.bound + kEps * (std::abs(old + sum.value) + sum.bound)};
    case Epilogue::swiglu:
      return product(silu(sum), up());
    case Epilogue::relu2glu:
      return product(squared_relu(sum), up());
    case Epilogue::geglu:
      return product(gelu(sum), up());
    case Epilogue::swiglu_clamped: {
      Sum u = clamped(up(), -7);
      u = {u.value + 1, u.bound + kEps * (std::abs(u.value + 1) + u.bound)};
      return product(clamped_silu(sum), u);
    }
    case Epilogue::gelu:
      return gelu(sum);
    case Epilogue::relu2:
      return squared_relu(sum);
  }
  return sum;
}

}  // namespace llamajit::test
