// Shapes of kernels by chance: the same ones and few in a usual run; LLAMAJIT_RANDOM_SHAPES says how many each kernel
// gets, and LLAMAJIT_RANDOM_SEED which (tools/dev/torture).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/sanitized.h"

namespace llamajit::test {

class RandomShape {
 public:
  explicit RandomShape(std::uint64_t seed) : random_(seed) {}

  // Every second one is near a power of two or the range's ends, where tails begin and end.
  int between(int low, int high) {
    if (high <= low) return low;
    const int any = std::uniform_int_distribution(low, high)(random_);
    if (flag()) return any;
    int near = flag() ? high : low;
    if (flag()) near = 1 << std::uniform_int_distribution(0, 11)(random_);
    near += std::uniform_int_distribution(-2, 2)(random_);
    return near < low || near > high ? any : near;
  }
  bool flag() { return random_() % 2 == 0; }
  template <class T>
  T pick(std::initializer_list<T> of) {
    return *std::next(of.begin(), static_cast<std::ptrdiff_t>(random_() % of.size()));
  }
  template <class All>
  const auto& one_of(const All& all) {
    return all[random_() % std::size(all)];
  }
  // A part of [0, n) that begins and, but for the last one, ends with a whole vector.
  struct Slice {
    int begin, end;
  };
  Slice slice(int n) {
    const int begin = between(0, (n - 1) / 16) * 16;
    const int end = between(begin / 16 + 1, (n + 15) / 16) * 16;
    return {begin, end < n ? end : n};
  }
  std::uint64_t seed() { return random_(); }

 private:
  std::mt19937_64 random_;
};

// Calls `check` with so many shapes. What fails names the seed of its shape.
template <class Check>
void for_random_shapes(Check check) {
  const auto number = [](const char* name, std::uint64_t otherwise) {
    const char* const said = std::getenv(name);
    return said == nullptr ? otherwise : std::strtoull(said, nullptr, 10);
  };
  const std::uint64_t count = number("LLAMAJIT_RANDOM_SHAPES", kSanitized ? 4 : 25);
  const std::uint64_t seed = number("LLAMAJIT_RANDOM_SEED", 1);
  for (std::uint64_t i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("LLAMAJIT_RANDOM_SEED={} LLAMAJIT_RANDOM_SHAPES=1", seed + i));
    RandomShape shape(seed + i);
    check(shape);
  }
}

}  // namespace llamajit::test
