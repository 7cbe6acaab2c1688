#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_matrix.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::quantize_test {
namespace {

using jit::Format;
using jit::QuantizeArgs;
using jit::QuantizeKey;

QuantizeKey whole_groups(int n, int group) {
  return {n, group, group, 128};
}

std::unique_ptr<CallMemory> check(const QuantizeKey& key, const std::vector<float>& x,
                                  const std::string& what) {
  Kernels kernels(key);
  return kernels.check(0, what, [&](CallMemory& memory) {
    const auto n_groups = static_cast<std::size_t>(key.n / key.group);
    const auto n_subgroups = static_cast<std::size_t>(key.n / key.subgroup);
    QuantizeArgs args{};
    args.x = memory.copy_of("x", x);
    args.out.codes = memory.allocate<std::int8_t>(
        "codes", n_groups * static_cast<std::size_t>(jit::round_up(key.group, 4)));
    args.out.scales = memory.allocate<float>("scales", n_groups);
    if (key.zero > 0) {
      args.out.offsets = memory.allocate<std::int32_t>("offsets", n_subgroups);
    } else if (key.has_subsums()) {
      args.out.subsums = memory.allocate<std::int16_t>("subsums", n_subgroups);
    } else {
      args.out.sums = memory.allocate<float>("sums", n_groups);
    }
    return args;
  });
}

// Each code times its scale is x within half a step; offsets, sums or subsums are those of the codes.
void expect_is_right(const QuantizeKey& key, const CallMemory& result) {
  const auto x = result.view<float>("x"), scales = result.view<float>("scales");
  const auto codes = result.view<std::int8_t>("codes");
  const auto padded = static_cast<std::size_t>(jit::round_up(key.group, 4));
  const auto group = static_cast<std::size_t>(key.group);
  for (std::size_t g = 0; g < scales.size(); ++g) {
    const auto group_codes = codes.subspan(g * padded, padded);
    for (std::size_t k = 0; k < padded; ++k) {
      const double value = k < group ? x[g * group + k] : 0.0F;
      EXPECT_LE(std::abs(group_codes[k] * double{scales[g]} - value), scales[g] * 0.5001)
          << kernel_name(key) << ": group " << g << ", code " << k;
      EXPECT_GE(group_codes[k], -127) << kernel_name(key) << ": group " << g << ", code " << k;
    }
    const auto subgroups = static_cast<std::size_t>(key.group / key.subgroup);
    for (std::size_t s = 0; s < subgroups; ++s) {
      const auto part = group_codes.subspan(s * padded / subgroups, padded / subgroups);
      const int sum = std::accumulate(part.begin(), part.end(), 0);
      const std::size_t at = g * subgroups + s;
      if (key.zero > 0) {
        EXPECT_EQ(result.view<std::int32_t>("offsets")[at], -key.zero * sum)
            << kernel_name(key) << ": " << at;
      } else if (key.has_subsums()) {
        EXPECT_EQ(result.view<std::int16_t>("subsums")[at], sum) << kernel_name(key) << ": " << at;
      } else {
        EXPECT_EQ(result.view<float>("sums")[at], static_cast<float>(sum)) << kernel_name(key) << ": " << at;
      }
    }
  }
}

void check_random(const QuantizeKey& key, float magnitude = 1) {
  CallMemory source(Edge::back, static_cast<std::uint64_t>(key.n * 1000 + key.group));
  const auto n = static_cast<std::size_t>(key.n);
  expect_is_right(key, *check(key, source.random_floats(n, -magnitude, magnitude),
                              fmt::format("magnitude {}", magnitude)));
}

class Quantize : public testing::TestWithParam<int> {};

TEST_P(Quantize, OneGroupAndMore) {
  for (int n_groups : {1, 2, 3, 7}) check_random(whole_groups(n_groups * GetParam(), GetParam()));
}

TEST_P(Quantize, RealSizes) {
  for (int n : {64, 172, 288, 768, 2048, 5632})
    check_random(whole_groups(static_cast<int>(jit::round_up(n, GetParam())), GetParam()));
}

TEST_P(Quantize, LargeAndSmallMagnitudes) {
  for (float magnitude : {3e38F, 1e20F, 1e-20F, 1e-33F}) {
    check_random(whole_groups(3 * GetParam(), GetParam()), magnitude);
  }
}

TEST_P(Quantize, ZerosOfBothSigns) {
  std::vector<float> x(static_cast<std::size_t>(2 * GetParam()), 0.0F);
  for (std::size_t i = 0; i < x.size(); i += 2) x[i] = -0.0F;
  const auto result = check(whole_groups(2 * GetParam(), GetParam()), x, "zeros");
  for (std::int8_t code : result->view<std::int8_t>("codes")) EXPECT_EQ(code, 0);
  for (std::int32_t offset : result->view<std::int32_t>("offsets")) EXPECT_EQ(offset, 0);
}

TEST_P(Quantize, HalvesGoToTheEvenCode) {
  std::vector<float> x;
  for (int i = 0; i < GetParam(); ++i) x.push_back(i == 0 ? 127.0F : static_cast<float>(i % 50 - 25) + 0.5F);
  const auto result = check(whole_groups(GetParam(), GetParam()), x, "halves");
  for (std::size_t i = 1; i < x.size(); ++i)
    EXPECT_EQ(result->view<std::int8_t>("codes")[i] % 2, 0) << "of " << x[i];
}

TEST_P(Quantize, NotANumberAndInfinity) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                  kInfinity = std::numeric_limits<float>::infinity();
  const int n = 4 * GetParam();
  for (float odd : {kNaN, -kNaN, kInfinity, -kInfinity}) {
    CallMemory source(Edge::back, 5);
    std::vector<float> x = source.random_floats(static_cast<std::size_t>(n));
    for (std::size_t i = 1; i < x.size(); i += 3) x[i] = odd;
    const auto result = check(whole_groups(n, GetParam()), x, fmt::format("every third is {}", odd));
    // The dot product that has no instruction of its own relies on this.
    for (const std::int8_t code : result->view<std::int8_t>("codes")) EXPECT_GE(code, -127);
  }
}

INSTANTIATE_TEST_SUITE_P(Grid, Quantize, testing::ValuesIn(kGroups),
                         [](const auto& shape) { return fmt::format("group_{}", shape.param); });

// As every format wants it.
TEST(Quantize, SubgroupsAndZeros) {
  for (const Format& format : every_format()) {
    if (!has_codes(format)) continue;
    const jit::InputFormat input = *input_format(format);
    for (int n_groups : {1, 2, 5}) {
      check_random({n_groups * input.group, input.group, input.subgroup, input.zero});
    }
  }
}

TEST(Quantize, EveryTailOfAGroup) {
  for (int group = 1; group <= 40; ++group) check_random(whole_groups(3 * group, group));
  for (int group = 129; group <= 145; ++group) check_random(whole_groups(2 * group, group));
}

TEST(RandomShapes, Quantize) {
  const std::vector<Format> formats = every_format();
  for_random_shapes([&](RandomShape& shape) {
    const int groups = shape.between(1, 12), group = shape.between(1, 300);
    check_random(whole_groups(groups * group, group), shape.pick({1.0F, 1e20F, 1e-20F}));
    const Format format = shape.one_of(formats);
    if (!has_codes(format)) return;
    const jit::InputFormat input = *input_format(format);
    check_random({groups * input.group, input.group, input.subgroup, input.zero});
  });
}

}  // namespace
}  // namespace llamajit::test::quantize_test
