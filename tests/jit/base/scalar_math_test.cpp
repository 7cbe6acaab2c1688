#include "jit/base/scalar_math.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/kernel_check.h"

namespace llamajit::test::scalar_math_test {
namespace {

using jit::exp_f32;
using jit::fused;
using jit::log_f32;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool fused_is_right(float a, float b, float c) {
  const float expected = std::fma(a, b, c);
  const float actual = fused(a, b, c);
  return std::isnan(expected)
             ? std::isnan(actual)
             : std::bit_cast<std::uint32_t>(actual) == std::bit_cast<std::uint32_t>(expected);
}

void expect_fused_is_right(float a, float b, float c) {
  ASSERT_TRUE(fused_is_right(a, b, c))
      << fmt::format("fused({:a}, {:a}, {:a}) is {:a}, fma {:a}", a, b, c, fused(a, b, c), std::fma(a, b, c));
}

class Fused : public testing::Test {
 protected:
  static constexpr int kTrials = kSanitized ? 500'000 : 5'000'000;
  float any() { return std::bit_cast<float>(static_cast<std::uint32_t>(random_() >> 32)); }
  // A number of magnitude 2^low to 2^high.
  float of_exponent(int low, int high) {
    const auto exponent = low + static_cast<int>(random_() % static_cast<unsigned>(high - low));
    const float mantissa = 1 + static_cast<float>(random_() >> 41) * 0x1p-23F;
    return std::ldexp((random_() & 1) != 0 ? mantissa : -mantissa, exponent);
  }
  float some_ulps_from(float x) {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) + static_cast<std::uint32_t>(random_() % 7) -
                                3);
  }
  std::mt19937_64 random_{2008};
};

TEST_F(Fused, AnyBits) {
  for (int i = 0; i < kTrials; ++i) expect_fused_is_right(any(), any(), any());
}

TEST_F(Fused, MagnitudesThatMeet) {
  for (int i = 0; i < kTrials; ++i)
    expect_fused_is_right(of_exponent(-4, 4), of_exponent(-4, 4), of_exponent(-60, 40));
}

TEST_F(Fused, Cancellation) {
  for (int i = 0; i < kTrials; ++i) {
    const float a = of_exponent(-30, 30), b = of_exponent(-30, 30);
    expect_fused_is_right(a, b, some_ulps_from(-(a * b)));
  }
}

TEST_F(Fused, SubnormalResults) {
  for (int i = 0; i < kTrials; ++i) {
    const float a = of_exponent(-80, -60), b = of_exponent(-80, -60);
    expect_fused_is_right(a, b, of_exponent(-149, -120));
  }
}

TEST_F(Fused, NearOverflow) {
  for (int i = 0; i < kTrials; ++i) {
    const float a = of_exponent(60, 68), b = of_exponent(56, 64);
    expect_fused_is_right(a, b, of_exponent(90, 128));
  }
}

// Few bits in each operand put sums exactly on and next to
// halfway between floats, where rounding twice goes wrong.
TEST_F(Fused, HalfwayCases) {
  for (int i = 0; i < kTrials; ++i) {
    const float a = 1 + std::ldexp(1.0F, -static_cast<int>(random_() % 24));
    const float b = 1 + std::ldexp(1.0F, -static_cast<int>(random_() % 24));
    expect_fused_is_right(
        a, b, std::ldexp((random_() & 1) != 0 ? 1.0F : -1.0F, static_cast<int>(random_() % 80) - 60));
  }
}

TEST_F(Fused, SpecialValues) {
  const float values[] = {0.0F,       -0.0F, 1.0F,   -1.0F,   kInfinity,
                          -kInfinity, kNaN,  1e-45F, -1e-45F, 3.4028235e38F};
  for (float a : values) {
    for (float b : values) {
      for (float c : values) expect_fused_is_right(a, b, c);
    }
  }
}

TEST(Exp, WithinTwoUlpOfTheTruth) {
  // Bit patterns at an odd stride, so that all kinds of mantissas come by.
  constexpr std::uint32_t kStride = kSanitized ? 9973 : 331;
  const auto end = std::bit_cast<std::uint32_t>(jit::exp_constants::kHighest);
  double worst = 0;
  for (std::uint32_t bits = 0; bits <= end; bits += kStride) {
    for (float x : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      if (x < jit::exp_constants::kLowest) continue;
      const double truth = std::exp(double{x});
      const double ulp = std::ldexp(1.0, std::max(std::ilogb(truth), -126) - 23);
      const double error = std::abs(exp_f32(x) - truth) / ulp;
      ASSERT_LE(error, 2) << fmt::format("exp({:a})", x);
      worst = std::max(worst, error);
    }
  }
  RecordProperty("worst_ulp", fmt::format("{:.3f}", worst));
}

TEST(Exp, ExactAtZeroAndClampedBeyondItsRange) {
  using namespace jit::exp_constants;
  EXPECT_EQ(exp_f32(0.0F), 1.0F);
  EXPECT_EQ(exp_f32(-0.0F), 1.0F);
  for (float x : {kHighest, 88.5F, 1e30F, kInfinity}) EXPECT_EQ(exp_f32(x), exp_f32(kHighest)) << x;
  for (float x : {kLowest, -88.0F, -1e30F, -kInfinity, kNaN}) EXPECT_EQ(exp_f32(x), exp_f32(kLowest)) << x;
  EXPECT_GT(exp_f32(kLowest), 0.0F);
}

TEST(Log, WithinTwoUlpOfTheTruth) {
  constexpr std::uint32_t kStride = kSanitized ? 9973 : 331;
  const auto begin = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::min());
  const auto end = std::bit_cast<std::uint32_t>(kInfinity);
  double worst = 0;
  for (std::uint32_t bits = begin; bits < end; bits += kStride) {
    const auto x = std::bit_cast<float>(bits);
    const double truth = std::log(double{x});
    const double error = std::abs(log_f32(x) - truth) / std::ldexp(1.0, std::ilogb(truth) - 23);
    ASSERT_LE(error, 2) << fmt::format("log({:a})", x);
    worst = std::max(worst, error);
  }
  RecordProperty("worst_ulp", fmt::format("{:.3f}", worst));
}

// Where the logarithm is nearly 0, and where the power of two changes.
TEST(Log, WithinTwoUlpAroundOneAndAroundTheSeams) {
  EXPECT_EQ(log_f32(1.0F), 0.0F);
  for (const float centre : {1.0F, std::sqrt(0.5F), std::sqrt(2.0F), 2.0F}) {
    for (int i = -1000; i <= 1000; ++i) {
      const auto x =
          std::bit_cast<float>(std::bit_cast<std::uint32_t>(centre) + static_cast<std::uint32_t>(i));
      if (x == 1) continue;
      const double truth = std::log(double{x});
      ASSERT_LE(std::abs(log_f32(x) - truth) / std::ldexp(1.0, std::ilogb(truth) - 23), 2)
          << fmt::format("log({:a})", x);
    }
  }
}

TEST(Softplus, AgreesWithItsDefinitionAndThenIsItsArgument) {
  // What counts beside 1 + e^x is half an ulp of it.
  for (float x = -30; x < 30; x += 0.01F) {
    const double truth = std::log1p(std::exp(double{x}));
    EXPECT_NEAR(jit::softplus(x), truth, 4 * kEps * (1 + truth)) << x;
  }
  for (const float x : {std::nextafter(20.0F, 21.0F), 21.0F, 88.5F, 3e38F, kInfinity}) {
    EXPECT_EQ(jit::softplus(x), x);
  }
  for (const float x : {-90.0F, -3e38F, -kInfinity}) EXPECT_EQ(jit::softplus(x), 0) << x;
  EXPECT_TRUE(std::isnan(jit::softplus(kNaN)));
}

TEST(Sigmoid, AgreesWithItsDefinition) {
  for (float x = -80; x < 80; x += 0.01F) {
    const double truth = 1 / (1 + std::exp(-double{x}));
    EXPECT_NEAR(jit::sigmoid(x), truth, truth * 8 * kEps) << x;
  }
  EXPECT_EQ(jit::sigmoid(0.0F), 0.5F);
}

TEST(Silu, AgreesWithItsDefinition) {
  for (float g = -80; g < 80; g += 0.01F) {
    const double truth = double{g} / (1 + std::exp(-double{g}));
    EXPECT_NEAR(jit::silu(g), truth, std::abs(truth) * 8 * kEps) << g;
  }
  EXPECT_EQ(jit::silu(0.0F), 0.0F);
}

TEST(MinMax, TheSecondWhereUnordered) {
  EXPECT_EQ(jit::max2(kNaN, 2.0F), 2.0F);
  EXPECT_TRUE(std::isnan(jit::max2(2.0F, kNaN)));
  EXPECT_EQ(jit::min2(kNaN, 2.0F), 2.0F);
  EXPECT_TRUE(std::signbit(jit::max2(0.0F, -0.0F)));
}

}  // namespace
}  // namespace llamajit::test::scalar_math_test
