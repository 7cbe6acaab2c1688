#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::argmax_test {
namespace {

using jit::ArgmaxArgs;
using jit::ArgmaxKey;
using jit::Best;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class Argmax {
 public:
  explicit Argmax(int n) : kernels_(ArgmaxKey{n}) {}

  void expect(const std::vector<float>& x, std::size_t index, const std::string& what) {
    const auto result = kernels_.check(0, what, [&](CallMemory& memory) {
      const float* from = memory.copy_of("x", x);
      return ArgmaxArgs{from, memory.allocate<Best>("best", 1), 0, std::ssize(x)};
    });
    EXPECT_EQ(result->view<Best>("best")[0].index, static_cast<std::int32_t>(index))
        << what << " of " << x.size();
  }

  // The best of x[begin, end).
  Best of_slice(const std::vector<float>& x, std::int64_t begin, std::int64_t end) {
    const auto result = kernels_.check(0, fmt::format("slice [{}, {})", begin, end), [&](CallMemory& memory) {
      const float* from = memory.copy_of("x", x);
      return ArgmaxArgs{from, memory.allocate<Best>("best", 1), begin, end};
    });
    return result->view<Best>("best")[0];
  }

 private:
  Kernels<ArgmaxKey> kernels_;
};

TEST(Argmax, EveryPlaceOfEveryTail) {
  for (std::size_t n = 1; n <= 83; n += kSanitized ? 3 : 1) {
    Argmax argmax(static_cast<int>(n));
    for (std::size_t place = 0; place < n; ++place) {
      std::vector<float> x(n, -2.0F);
      x[place] = -1.0F;
      argmax.expect(x, place, fmt::format("the largest at {}", place));
    }
  }
}

TEST(Argmax, TheFirstOfEqualMaximaWins) {
  for (std::size_t n : {2U, 16U, 17U, 40U, 64U, 100U, 288U}) {
    Argmax argmax(static_cast<int>(n));
    argmax.expect(std::vector<float>(n, 0.5F), 0, "all equal");
    for (std::size_t first = 0; first < n; first += 7) {
      std::vector<float> x(n, -1.0F);
      for (std::size_t i = first; i < n; i += 5) x[i] = 3.0F;
      argmax.expect(x, first, fmt::format("ties from {}", first));
    }
  }
}

TEST(Argmax, ZerosOfBothSignsAreEqual) {
  for (std::size_t n : {3U, 16U, 50U}) {
    Argmax argmax(static_cast<int>(n));
    std::vector<float> x(n, -1.0F);
    x[1] = -0.0F;
    x[2] = 0.0F;
    argmax.expect(x, 1, "-0 before 0");
    std::swap(x[1], x[2]);
    argmax.expect(x, 1, "0 before -0");
  }
}

TEST(Argmax, NotANumberIsNeverTheLargest) {
  for (std::size_t n : {1U, 5U, 16U, 33U, 64U, 90U}) {
    Argmax argmax(static_cast<int>(n));
    argmax.expect(std::vector<float>(n, kNaN), 0, "all NaN");
    for (std::size_t place = 0; place < n; place += 3) {
      std::vector<float> x(n, kNaN);
      x[place] = -5.0F;
      argmax.expect(x, place, fmt::format("NaN but at {}", place));
    }
  }
}

TEST(Argmax, Infinities) {
  for (std::size_t n : {1U, 5U, 16U, 33U, 64U, 90U}) {
    Argmax argmax(static_cast<int>(n));
    argmax.expect(std::vector<float>(n, -kInfinity), 0, "all -infinity");
    std::vector<float> x(n, -kInfinity);
    x[n - 1] = -3e38F;
    argmax.expect(x, n - 1, "-infinity but the last");
    x[n / 2] = kInfinity;
    argmax.expect(x, n / 2, "infinity");
  }
}

TEST(Argmax, SlicesFindTheirOwn) {
  for (std::size_t n : {64U, 75U, 130U}) {
    Argmax argmax(static_cast<int>(n));
    CallMemory source(Edge::back, n);
    const std::vector<float> x = source.random_floats(n);
    const auto size = static_cast<std::int64_t>(n);
    for (std::int64_t begin = 0; begin < size; begin += 16) {
      for (std::int64_t end = begin + 16; end < size + 16; end += 16) {
        const std::int64_t stop = std::min(end, size);
        const Best best = argmax.of_slice(x, begin, stop);
        const auto expected = std::max_element(x.begin() + begin, x.begin() + stop);
        EXPECT_EQ(best.index, expected - x.begin());
        EXPECT_EQ(best.value, *expected);
      }
    }
    const Best none = argmax.of_slice(std::vector<float>(n, kNaN), 16, size);
    EXPECT_EQ(none.index, 16);
    EXPECT_EQ(none.value, -kInfinity);
  }
}

TEST(Argmax, RealSizes) {
  for (std::size_t n : {512U, 32000U, 32003U, 128256U}) {
    Argmax argmax(static_cast<int>(n));
    CallMemory source(Edge::back, n);
    std::vector<float> x = source.random_floats(n);
    for (std::size_t place : {std::size_t{0}, n / 2 + 1, n - 1}) {
      const float before = std::exchange(x[place], 2.0F);
      argmax.expect(x, place, fmt::format("random, largest at {}", place));
      x[place] = before;
    }
  }
}

TEST(RandomShapes, Argmax) {
  for_random_shapes([](RandomShape& shape) {
    const int n = shape.between(1, 3000);
    const auto x = CallMemory(Edge::back, shape.seed()).random_floats(static_cast<std::size_t>(n));
    const auto [begin, end] = shape.slice(n);
    const Best best = Argmax(n).of_slice(x, begin, end);
    EXPECT_EQ(best.index, std::max_element(x.begin() + begin, x.begin() + end) - x.begin());
  });
}

}  // namespace
}  // namespace llamajit::test::argmax_test
