#include "tests/support/reference_math.h"

#include <algorithm>
#include <functional>
#include <numbers>

namespace llamajit::test {

double value(const Tensor& tensor, std::size_t row, std::size_t col) {
  return source_value(source(tensor), static_cast<std::int64_t>(row), static_cast<std::int64_t>(col));
}

Vector multiply(const Tensor& matrix, const Tensor& scale, const Tensor& bias, const Vector& x) {
  Vector out(rows(matrix));
  for (std::size_t row = 0; row < out.size(); ++row) {
    for (std::size_t col = 0; col < x.size(); ++col) out[row] += value(matrix, row, col) * x[col];
    if (scale.exists()) out[row] *= value(scale, 0, 0);
    if (bias.exists()) out[row] += value(bias, 0, row);
  }
  return out;
}

void normalise(std::span<double> x, jit::NormKind kind, double eps, const Tensor& weight,
               const Tensor& bias) {
  const auto n = static_cast<double>(x.size());
  double mean = 0, squares = 0;
  for (const double v : x) mean += v / n;
  if (kind == jit::NormKind::rms) mean = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - mean) / std::sqrt(squares / n + eps) * value(weight, 0, i);
    if (bias.exists()) x[i] += value(bias, 0, i);
  }
}

Vector activated(jit::Epilogue activation, const Vector& gate, const Vector& up) {
  Vector out;
  for (std::size_t i = 0; i < up.size(); ++i) {
    const double x = is_gated(activation) ? gate[i] : up[i];
    const double gelu =
        x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * std::pow(x, 3)))) / 2;
    switch (activation) {
      case jit::Epilogue::swiglu:
        out.push_back(x / (1 + std::exp(-x)) * up[i]);
        break;
      case jit::Epilogue::relu2glu:
        out.push_back(std::pow(std::max(x, 0.0), 2) * up[i]);
        break;
      case jit::Epilogue::geglu:
        out.push_back(gelu * up[i]);
        break;
      case jit::Epilogue::swiglu_clamped: {
        const double g = std::min(x, 7.0), u = std::clamp(up[i], -7.0, 7.0);
        out.push_back(g / (1 + std::exp(-1.702 * g)) * (u + 1));
        break;
      }
      case jit::Epilogue::relu2:
        out.push_back(std::pow(std::max(x, 0.0), 2));
        break;
      default:
        out.push_back(gelu);
    }
  }
  return out;
}

double capped(double x, double cap) {
  return cap > 0 ? cap * std::tanh(x / cap) : x;
}

Vector of_heads(const Tensor& heads, const Vector& x, int n_heads, bool transposed) {
  Vector out;
  const std::size_t size = rows(heads) / static_cast<std::size_t>(n_heads);
  for (std::size_t head = 0; head < static_cast<std::size_t>(n_heads); ++head) {
    Vector one(transposed ? static_cast<std::size_t>(heads.cols) : size);
    for (std::size_t i = 0; i < one.size(); ++i) {
      for (std::size_t j = 0; j < x.size(); ++j) {
        one[i] += x[j] * (transposed ? value(heads, head * size + j, i) : value(heads, head * size + i, j));
      }
    }
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

void keep_best_groups(const jit::RouteKey& route, std::vector<std::pair<double, std::size_t>>& choice) {
  const auto size = static_cast<std::size_t>(route.experts / route.groups);
  std::vector<std::pair<double, std::size_t>> groups;
  for (std::size_t first = 0; route.groups > 1 && first < choice.size(); first += size) {
    Vector best;
    for (std::size_t i = first; i < first + size; ++i) best.push_back(choice[i].first);
    std::ranges::sort(best, std::greater<>());
    groups.emplace_back(best[0] + (route.by_best ? 0 : best[1]), first / size);
  }
  std::ranges::sort(groups, std::greater<>());
  if (route.groups > 1) groups.resize(static_cast<std::size_t>(route.groups_used));
  std::erase_if(choice, [&](const auto& expert) {
    return !groups.empty() && std::ranges::none_of(groups, [&](const auto& group) {
      return group.second == expert.second / size;
    });
  });
}

}  // namespace llamajit::test
