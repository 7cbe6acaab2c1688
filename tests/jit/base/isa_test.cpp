#include "jit/base/isa.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace llamajit::test::isa_test {
namespace {

using jit::host_tiers;
using jit::Tier;

bool host_has(Tier tier) {
  return std::ranges::count(host_tiers(), tier) == 1;
}

TEST(HostTiers, AreInOrderAndBeginWithScalar) {
  EXPECT_EQ(host_tiers().front(), Tier::scalar);
  EXPECT_TRUE(std::ranges::is_sorted(host_tiers()));
}

TEST(HostTiers, AgreeWithTheCompilersView) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(host_has(Tier::avx2), avx2);
  EXPECT_EQ(host_has(Tier::avx512), avx512);
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  EXPECT_EQ(host_has(Tier::avx512vnni), vnni);
  EXPECT_EQ(host_has(Tier::avx512bf16), vnni && __builtin_cpu_supports("avx512bf16"));
}

TEST(Isa, TellsWhatTheEmitterMayUse) {
  EXPECT_FALSE(jit::Isa{Tier::scalar}.generates());
  EXPECT_TRUE(jit::Isa{Tier::avxvnni}.has_dot() && !jit::Isa{Tier::avxvnni}.wide());
  EXPECT_TRUE(jit::Isa{Tier::avx512}.wide() && !jit::Isa{Tier::avx512}.has_dot());
}

}  // namespace
}  // namespace llamajit::test::isa_test
