#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/base/scalar_math.h"
#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::round_test {
namespace {

using jit::QuantizeArgs;
using jit::RoundKey;

// The rounded values, with what makes the last pair whole.
std::vector<float> round(const std::vector<float>& x, const std::string& what) {
  Kernels kernels(RoundKey{static_cast<int>(x.size())});
  const auto result = kernels.check(0, what, [&](CallMemory& memory) {
    QuantizeArgs args{};
    args.x = memory.copy_of("x", x);
    args.out.codes =
        memory.allocate<std::int8_t>("codes", static_cast<std::size_t>(jit::rounded_bytes(std::ssize(x))));
    return args;
  });
  std::vector<float> rounded;
  for (const std::uint16_t bits : result->view<std::uint16_t>("codes")) {
    rounded.push_back(jit::bfloat_to_float(bits));
  }
  return rounded;
}

TEST(Round, EveryLengthIsWithinHalfAUnitOfTheLastPlace) {
  for (int n = 1; n <= 300; n += n < 40 ? 1 : 37) {
    const std::vector<float> x =
        CallMemory(Edge::back, static_cast<std::uint64_t>(n)).random_floats(static_cast<std::size_t>(n));
    const std::vector<float> rounded = round(x, "random");
    ASSERT_EQ(rounded.size(), x.size() + x.size() % 2);
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(std::abs(rounded[i] - x[i]), std::abs(x[i]) * 0x1p-8F) << n << ", " << i;
    }
    if (n % 2 != 0) {
      EXPECT_EQ(rounded.back(), 0.0F);
    }
  }
}

TEST(Round, TiesGoToEvenAndOddNumbersStayWhatTheyAre) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0x1.01p0F, 0x1.03p0F, -0x1.01p0F, 0x1.010002p0F,  kInfinity,
                                -0.0F,     0x1p-133F, 0x1p-149F,  0x1.fffffep127F};
  const std::vector<float> expected = {1.0F,  0x1.04p0F, -1.0F, 0x1.02p0F, kInfinity,
                                       -0.0F, 0x1p-133F, 0.0F,  kInfinity, 0.0F};
  EXPECT_EQ(round(x, "ties"), expected);
}

TEST(RandomShapes, Round) {
  for_random_shapes([](RandomShape& shape) {
    const auto n = static_cast<std::size_t>(shape.between(1, 3000));
    round(CallMemory(Edge::back, shape.seed()).random_floats(n, -1e30F, 1e30F), "random");
  });
}

}  // namespace
}  // namespace llamajit::test::round_test
