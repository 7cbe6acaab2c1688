#include "runtime/generate/embedding.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "runtime/base/numbers.h"

namespace llamajit {

Pooler::Pooler(Pooling pooling, int dim) : pooling_(pooling), sums_(static_cast<std::size_t>(dim)) {}

std::size_t Pooler::first_wanted(std::size_t piece_begin, std::size_t piece_size,
                                 std::size_t text_size) const {
  switch (pooling_) {
    case Pooling::mean:
      return 0;
    case Pooling::first:
      return piece_begin == 0 ? 0 : piece_size;
    case Pooling::last:
      return piece_begin + piece_size == text_size ? piece_size - 1 : piece_size;
  }
  return 0;
}

void Pooler::add(std::span<const float> hidden) {
  if (pooling_ == Pooling::first && added_ > 0) return;
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (!std::isfinite(hidden[i])) {
      throw std::runtime_error(fmt::format(
          "hidden state: expected numbers, found {} in place {}: the model's weights are damaged, "
          "or too large",
          without_sign_of_nan(hidden[i]), i));
    }
    sums_[i] += static_cast<double>(hidden[i]);
  }
  ++added_;
}

std::vector<float> Pooler::vector() const {
  std::vector<float> mean(sums_.size());
  std::ranges::transform(sums_, mean.begin(),
                         [&](double sum) { return static_cast<float>(sum / static_cast<double>(added_)); });
  return mean;
}

void normalize(std::span<float> x) {
  double squares = 0;
  for (const float value : x) squares += static_cast<double>(value) * static_cast<double>(value);
  if (squares == 0) return;
  const double norm = std::sqrt(squares);
  for (float& value : x) value = static_cast<float>(static_cast<double>(value) / norm);
}

Pooling pooling_from(const std::string& name) {
  if (name == "mean") return Pooling::mean;
  if (name == "last") return Pooling::last;
  if (name == "cls" || name == "first") return Pooling::first;
  throw std::invalid_argument(fmt::format("expected mean, last or cls, found {}", name));
}

}  // namespace llamajit
