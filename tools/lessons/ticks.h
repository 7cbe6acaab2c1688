// Time in ticks of the time stamp counter, which count at one rate whatever the core's clock is.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include <x86intrin.h>

namespace llamajit::cli {

// After everything before it is done.
inline std::uint64_t ticks_now() {
  _mm_lfence();
  const std::uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Returns the time of one call(): the median of measurements of a few calls each.
template <class Call>
double ticks_of(Call call) {
  constexpr int kMeasurements = 201;
  constexpr int kCalls = 16;
  constexpr std::chrono::milliseconds kLongest(50);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<double> ticks;
  call();  // into the caches
  while (ticks.empty() ||
         (ticks.size() < kMeasurements && std::chrono::steady_clock::now() - begin < kLongest)) {
    const std::uint64_t start = ticks_now();
    for (int i = 0; i < kCalls; ++i) call();
    ticks.push_back(static_cast<double>(ticks_now() - start) / kCalls);
  }
  return median(std::move(ticks));
}

}  // namespace llamajit::cli
