// The kernels of mixtures of experts.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/kernel_check.h"
#include "tests/support/random_shapes.h"

namespace llamajit::test::experts_test {
namespace {

using jit::CopyArgs;
using jit::CopyKey;
using jit::Gating;
using jit::MixArgs;
using jit::MixKey;
using jit::RouteArgs;
using jit::RouteKey;
using jit::SharedExpert;

// Of each expert, where they have them.
std::vector<float> scales_of(const RouteKey& key) {
  std::vector<float> scales;
  for (int i = 0; i < key.experts; ++i) scales.push_back(0.5F + static_cast<float>(i % 7));
  return scales;
}

std::unique_ptr<CallMemory> route(const RouteKey& key, const std::vector<float>& logits,
                                  const std::vector<float>& bias, const std::string& what) {
  Kernels kernels(key);
  return kernels.check(0, what, [&](CallMemory& memory) {
    RouteArgs args{};
    args.logits = memory.copy_of("logits", logits);
    if (key.biased) args.bias = memory.copy_of("bias", bias);
    if (key.shared == SharedExpert::gated) args.shared_logit = memory.copy_of("shared", std::vector{0.7F});
    args.ids = memory.allocate<std::int32_t>("ids", static_cast<std::size_t>(key.used));
    args.weights = memory.allocate<float>("weights", static_cast<std::size_t>(key.slots()));
    args.scratch = memory.scratch("scratch", static_cast<std::size_t>(key.scratch_floats()));
    if (key.scaled) args.scales = memory.copy_of("scales", scales_of(key));
    return args;
  });
}

// In double precision, with the choice by sorting.
void expect_is_right(const RouteKey& key, const std::vector<float>& logits, const std::vector<float>& bias,
                     const CallMemory& result) {
  std::vector<double> p(logits.begin(), logits.end());
  const double largest = *std::ranges::max_element(p);
  double sum = 0;
  for (const double x : p) sum += std::exp(x - largest);
  for (double& x : p) {
    if (key.gating == Gating::softmax) x = std::exp(x - largest) / sum;
    if (key.gating == Gating::sigmoid) x = 1 / (1 + std::exp(-x));
  }
  std::vector<int> ids(p.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto choice = [&](int i) {
    const auto at = static_cast<std::size_t>(i);
    return p[at] + (key.biased ? double{bias[at]} : 0);
  };
  if (key.chooses_groups()) {
    std::vector<std::pair<double, int>> groups;
    const int size = key.experts / key.groups;
    for (int group = 0; group < key.groups; ++group) {
      std::vector<double> of_group;
      for (int i = 0; i < size; ++i) of_group.push_back(choice(group * size + i));
      std::ranges::sort(of_group, std::greater<>());
      groups.emplace_back(of_group[0] + (key.by_best ? 0 : of_group[1]), group);
    }
    std::ranges::sort(groups, std::greater<>());
    groups.resize(static_cast<std::size_t>(key.groups_used));
    std::erase_if(ids, [&](int id) {
      return std::ranges::none_of(groups, [&](const auto& group) { return group.second == id / size; });
    });
  }
  std::ranges::stable_sort(ids, std::greater<>(), choice);
  ids.resize(static_cast<std::size_t>(key.used));
  std::ranges::sort(ids);
  std::vector<double> weights;
  for (const int id : ids) weights.push_back(p[static_cast<std::size_t>(id)]);
  if (key.gating == Gating::softmax_of_chosen) {
    for (double& w : weights) w = std::exp(w);
  }
  double total = 0;
  for (const double w : weights) total += w;
  const bool divides = key.renormalises || key.gating == Gating::softmax_of_chosen;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] *= double{key.scale} / (divides ? total : 1);
    if (key.scaled) weights[i] *= double{scales_of(key)[static_cast<std::size_t>(ids[i])]};
  }
  if (key.shared == SharedExpert::plain) weights.push_back(1);
  if (key.shared == SharedExpert::gated) weights.push_back(1 / (1 + std::exp(-0.7F)));
  EXPECT_TRUE(std::ranges::equal(result.view<std::int32_t>("ids"), ids)) << kernel_name(key);
  std::vector<double> bounds;
  for (const double w : weights) bounds.push_back(1e-5 * std::abs(w));
  expect_within(kernel_name(key), result.view<float>("weights"), weights, bounds);
}

class Route : public testing::TestWithParam<Gating> {};

TEST_P(Route, EveryCount) {
  for (const int experts : {1, 2, 8, 15, 16, 17, 60, 64, 128, 200, 512}) {
    for (const int used : {1, 2, 3, 8, 16, 17}) {
      if (used > experts) continue;
      for (const auto& [renormalises, biased, shared] : {std::tuple{false, false, SharedExpert::none},
                                                         {true, true, SharedExpert::plain},
                                                         {true, false, SharedExpert::gated}}) {
        RouteKey key{experts, used, GetParam(), renormalises, biased, biased ? 2.5F : 1.0F, shared};
        key.scaled = shared == SharedExpert::none;
        CallMemory source(Edge::back, static_cast<std::uint64_t>(experts + used));
        const auto logits = source.random_floats(static_cast<std::size_t>(experts), -4, 4);
        const auto bias = source.random_floats(static_cast<std::size_t>(experts), -1, 1);
        expect_is_right(key, logits, bias, *route(key, logits, bias, "random"));
      }
    }
  }
}

TEST_P(Route, GroupsFirst) {
  for (const auto& [experts, groups, groups_used, used] : {std::tuple{8, 4, 2, 3},
                                                           {16, 2, 1, 8},
                                                           {64, 8, 4, 6},
                                                           {160, 8, 3, 6},
                                                           {256, 8, 4, 8},
                                                           {96, 32, 20, 8}}) {
    RouteKey key{experts, used, GetParam(), true, true, 2.5F};
    key.groups = groups;
    key.groups_used = groups_used;
    key.by_best = experts % 3 == 1;
    CallMemory source(Edge::back, static_cast<std::uint64_t>(experts + used));
    const auto logits = source.random_floats(static_cast<std::size_t>(experts), -4, 4);
    const auto bias = source.random_floats(static_cast<std::size_t>(experts), -1, 1);
    expect_is_right(key, logits, bias, *route(key, logits, bias, "random"));
  }
}

TEST(RouteOfTies, TheFirstGroupsWin) {
  RouteKey key{40, 3};
  key.groups = 4;
  key.groups_used = 2;
  std::vector<float> logits(40, 0.5F);
  logits[30] = logits[31] = 0.75F;
  const auto result = route(key, logits, {}, "two groups are equal");
  EXPECT_TRUE(std::ranges::equal(result->view<std::int32_t>("ids"), std::vector{0, 30, 31}));
}

INSTANTIATE_TEST_SUITE_P(Gatings, Route,
                         testing::Values(Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen),
                         [](const auto& gating) { return std::string(to_string(gating.param)); });

TEST(RouteOfTies, TheFirstWin) {
  const RouteKey key{40, 3};
  const auto result = route(key, std::vector<float>(40, 0.5F), {}, "all equal");
  EXPECT_TRUE(std::ranges::equal(result->view<std::int32_t>("ids"), std::vector{0, 1, 2}));
}

// Whatever the numbers, ids are those of experts and differ.
TEST(RouteOfNoNumbers, ChoosesExpertsAllTheSame) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen}) {
    for (const float odd : {kNaN, kInfinity, -kInfinity}) {
      for (const int experts : {5, 16, 40}) {
        RouteKey key{experts, 4, gating};
        if (experts == 40) {
          key.groups = 4;
          key.groups_used = 2;
        }
        std::vector<float> logits(static_cast<std::size_t>(experts), odd);
        for (int i = 0; i < 2; ++i) {
          const auto result = route(key, logits, {}, fmt::format("{} and {}", odd, logits[1]));
          const auto ids = result->view<std::int32_t>("ids");
          EXPECT_GE(ids.front(), 0);
          EXPECT_LT(ids.back(), experts);
          EXPECT_TRUE(std::ranges::is_sorted(ids, std::ranges::less_equal())) << "no id twice";
          logits[1] = 2;
        }
      }
    }
  }
}

TEST(Mix, AddsInOrder) {
  for (const int n : {1, 16, 40, 64, 77, 130, 288}) {
    for (const int vectors : {1, 2, 9}) {
      for (const bool adds : {true, false}) {
        const MixKey key{n, vectors, adds};
        Kernels kernels(key);
        for (const auto& range : {std::pair{0, n}, {0, 16}, {16, 32}, {32, n}}) {
          const auto begin = range.first, end = range.second;
          if (end > n || begin >= end) continue;
          const auto size = static_cast<std::size_t>(n), count = static_cast<std::size_t>(vectors);
          const auto result = kernels.check(3, fmt::format("[{}, {})", begin, end), [&](CallMemory& memory) {
            std::vector<const float*> x;
            for (std::size_t v = 0; v < count; ++v) x.push_back(memory.uniform(fmt::format("x{}", v), size));
            const float* weights = memory.uniform("weights", count);
            return MixArgs{memory.addresses("x", x), weights, memory.copy_of("out", std::vector(size, 0.5F)),
                           begin, end};
          });
          for (std::size_t i = 0; i < size; ++i) {
            const bool within = std::cmp_less_equal(begin, i) && std::cmp_less(i, end);
            float expected = adds || !within ? 0.5F : 0.0F;
            for (std::size_t v = 0; v < count && within; ++v) {
              const float product =
                  result->view<float>(fmt::format("x{}", v))[i] * result->view<float>("weights")[v];
              expected += product;
            }
            ASSERT_EQ(result->view<float>("out")[i], expected) << kernel_name(key) << " " << i;
          }
        }
      }
    }
  }
}

TEST(Copy, EveryTail) {
  for (int n = 1; n <= 66; ++n) {
    Kernels kernels(CopyKey{n});
    const auto result = kernels.check(1, "copy", [&](CallMemory& memory) {
      const float* x = memory.uniform("x", static_cast<std::size_t>(n));
      return CopyArgs{x, memory.allocate<float>("out", static_cast<std::size_t>(n))};
    });
    EXPECT_TRUE(std::ranges::equal(result->view<float>("x"), result->view<float>("out")));
  }
}

TEST(RandomShapes, Route) {
  for_random_shapes([](RandomShape& shape) {
    RouteKey key{shape.between(1, 300), 1};
    key.gating = shape.pick({Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen});
    key.renormalises = shape.flag();
    key.biased = shape.flag();
    key.scale = shape.pick({1.0F, 2.5F});
    key.shared = shape.pick({SharedExpert::none, SharedExpert::plain, SharedExpert::gated});
    key.scaled = shape.flag();
    int choice = key.experts;
    if (shape.flag()) {
      key.groups = shape.between(2, 16);
      key.groups_used = shape.between(1, key.groups - 1);
      key.experts = key.groups * shape.between(2, 16);
      key.by_best = shape.flag();
      choice = key.experts / key.groups * key.groups_used;
    }
    key.used = shape.between(1, std::min(choice, 20));
    CallMemory source(Edge::back, shape.seed());
    const auto logits = source.random_floats(static_cast<std::size_t>(key.experts), -4, 4);
    const auto bias = source.random_floats(static_cast<std::size_t>(key.experts), -1, 1);
    expect_is_right(key, logits, bias, *route(key, logits, bias, "random"));
  });
}

TEST(RandomShapes, MixAndCopy) {
  for_random_shapes([](RandomShape& shape) {
    const MixKey key{shape.between(1, 1000), shape.between(1, 17), shape.flag()};
    const auto size = static_cast<std::size_t>(key.n), count = static_cast<std::size_t>(key.vectors);
    const auto [begin, end] = shape.slice(key.n);
    Kernels(key).check(shape.seed(), "random", [&, first = begin, last = end](CallMemory& memory) {
      std::vector<const float*> x;
      for (std::size_t v = 0; v < count; ++v) x.push_back(memory.uniform(fmt::format("x{}", v), size));
      const float* weights = memory.uniform("weights", count);
      return MixArgs{memory.addresses("x", x), weights, memory.uniform("out", size), first, last};
    });
    Kernels(CopyKey{key.n}).check(shape.seed(), "random", [&](CallMemory& memory) {
      const float* x = memory.uniform("x", size);
      return CopyArgs{x, memory.allocate<float>("out", size)};
    });
  });
}

}  // namespace
}  // namespace llamajit::test::experts_test
