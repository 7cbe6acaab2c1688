// Formats for matrices whose bytes together are limited.
#include "runtime/mix/mix_choice.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace llamajit::test::mix_choice_test {
namespace {

using jit::FormatKind;
using Matrices = std::vector<std::vector<MixOption>>;

struct Sum {
  std::uint64_t bytes = 0;
  double loss = 0;
};
Sum sum_of(const Matrices& matrices, const std::vector<std::size_t>& chosen) {
  Sum sum;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    sum.bytes += matrices[i][chosen[i]].bytes;
    sum.loss += matrices[i][chosen[i]].loss;
  }
  return sum;
}

// Of all choices.
double least_loss(const Matrices& matrices, std::uint64_t most) {
  double least = 1e30;
  std::vector<std::size_t> chosen(matrices.size());
  for (;;) {
    const Sum sum = sum_of(matrices, chosen);
    if (sum.bytes <= most) least = std::min(least, sum.loss);
    std::size_t i = 0;
    while (i < chosen.size() && ++chosen[i] == matrices[i].size()) chosen[i++] = 0;
    if (i == chosen.size()) return least;
  }
}

Matrices some_matrices(unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> any(0, 1);
  Matrices matrices;
  for (int i = 0; i < 6; ++i) {
    std::vector<MixOption>& options = matrices.emplace_back();
    const double sensitive = 1 + 1000 * any(random);
    for (std::uint64_t bits = 2; bits <= 6; ++bits) {
      options.push_back({FormatKind::q4_0, 100 * bits,
                         sensitive / static_cast<double>(1U << (2 * bits)) * (1 + any(random))});
    }
  }
  return matrices;
}

TEST(ChoiceOfMix, StaysWithinTheLimitAndNearTheBest) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    const Matrices matrices = some_matrices(seed);
    for (const std::uint64_t most : {1200U, 1750U, 2400U, 3600U}) {
      const auto chosen = choose_mix(matrices, most);
      ASSERT_TRUE(chosen.has_value());
      const Sum sum = sum_of(matrices, *chosen);
      EXPECT_LE(sum.bytes, most);
      EXPECT_LE(sum.loss, 1.25 * least_loss(matrices, most)) << seed << ", " << most;
    }
  }
}

TEST(ChoiceOfMix, OptionsThatLoseMoreForMoreBytesAreNeverTaken) {
  const Matrices matrices = {
      {{FormatKind::q2_k, 10, 5}, {FormatKind::q3_k, 20, 6}, {FormatKind::q4_k, 30, 1}},
      {{FormatKind::q2_k, 10, 0}, {FormatKind::q3_k, 20, 0}}};
  EXPECT_EQ(choose_mix(matrices, 1000), (std::vector<std::size_t>{2, 0}));
  EXPECT_EQ(choose_mix(matrices, 39), (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(choose_mix(matrices, 40), (std::vector<std::size_t>{2, 0}));
}

TEST(ChoiceOfMix, ThereIsNoneWhereTheSmallestAreTooLarge) {
  EXPECT_EQ(choose_mix(some_matrices(1), 1199), std::nullopt);
  EXPECT_EQ(choose_mix({}, 0), std::vector<std::size_t>{});
}

}  // namespace
}  // namespace llamajit::test::mix_choice_test
