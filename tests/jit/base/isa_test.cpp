#include "jit/base/isa.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llamajit::test::isa_test {
namespace {

using jit::choose_isa;
using jit::host_tiers;
using jit::kAllTiers;
using jit::Tier;
using testing::HasSubstr;

// Sets LLAMAJIT_ISA, or removes it, for the life of this object.
class IsaVariable {
 public:
  explicit IsaVariable(const char* value) {
    if (const char* old = std::getenv("LLAMAJIT_ISA")) before_ = old;
    set(value);
  }
  ~IsaVariable() { set(before_ ? before_->c_str() : nullptr); }
  IsaVariable(const IsaVariable&) = delete;
  IsaVariable& operator=(const IsaVariable&) = delete;

 private:
  static void set(const char* value) {
    value == nullptr ? unsetenv("LLAMAJIT_ISA") : setenv("LLAMAJIT_ISA", value, 1);
  }
  std::optional<std::string> before_;
};

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

TEST(ChooseIsa, TakesTheBestUnlessTold) {
  for (const char* unset : {static_cast<const char*>(nullptr), ""}) {
    const IsaVariable variable(unset);
    EXPECT_EQ(choose_isa(std::nullopt).isa.tier, host_tiers().back());
    EXPECT_THAT(choose_isa(std::nullopt).why, HasSubstr("best of this CPU"));
  }
}

TEST(ChooseIsa, TheOptionGoesBeforeTheVariable) {
  const IsaVariable variable("scalar");
  EXPECT_EQ(choose_isa(std::nullopt).isa.tier, Tier::scalar);
  EXPECT_THAT(choose_isa(std::nullopt).why, HasSubstr("LLAMAJIT_ISA"));
  const std::string best(to_string(host_tiers().back()));
  EXPECT_EQ(choose_isa(best).isa.tier, host_tiers().back());
  EXPECT_THAT(choose_isa(best).why, HasSubstr("--isa"));
}

TEST(ChooseIsa, EveryTierIsTakenOrRefusedByName) {
  for (const Tier tier : kAllTiers) {
    const std::string name(to_string(tier));
    if (host_has(tier)) {
      EXPECT_EQ(choose_isa(name).isa.tier, tier);
    } else {
      EXPECT_THROW(choose_isa(name), std::runtime_error) << name;
    }
  }
}

TEST(ChooseIsa, AnUnknownNameIsAnswered) {
  const IsaVariable variable("sse9");
  EXPECT_THAT([] { choose_isa(std::nullopt); },
              testing::ThrowsMessage<std::invalid_argument>(
                  testing::AllOf(HasSubstr("LLAMAJIT_ISA"), HasSubstr("sse9"), HasSubstr("avx512vnni"))));
  EXPECT_THAT([] { choose_isa("AVX2"); }, testing::ThrowsMessage<std::invalid_argument>(HasSubstr("--isa")));
}

TEST(Isa, TellsWhatTheEmitterMayUse) {
  EXPECT_FALSE(jit::Isa{Tier::scalar}.generates());
  EXPECT_TRUE(jit::Isa{Tier::avxvnni}.has_dot() && !jit::Isa{Tier::avxvnni}.wide());
  EXPECT_TRUE(jit::Isa{Tier::avx512}.wide() && !jit::Isa{Tier::avx512}.has_dot());
}

}  // namespace
}  // namespace llamajit::test::isa_test
