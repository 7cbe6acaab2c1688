// Of several runs.
#pragma once

#include <cmath>
#include <numeric>
#include <vector>

namespace llamajit {

inline double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the population that the values are a sample of; 0 for a single one.
inline double deviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  double squares = 0;
  for (const double value : values) squares += (value - mean(values)) * (value - mean(values));
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace llamajit
