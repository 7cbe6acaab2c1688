// The unit of all arithmetic: steps of sixteen lanes.
#pragma once

#include <cstdint>

namespace llamajit::jit {

inline constexpr int kLanes = 16;

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) {
  return (n + to - 1) / to * to;
}
constexpr std::int64_t divide_up(std::int64_t n, std::int64_t by) {
  return (n + by - 1) / by;
}

}  // namespace llamajit::jit
