#include "jit/code/isa_choice.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace llamajit::test::isa_choice_test {
namespace {

using jit::choose_isa;
using jit::fastest_of;
using jit::host_tiers;
using jit::kAllTiers;
using jit::PairRates;
using jit::Tier;
using testing::AllOf;
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

TEST(FastestOf, TakesTheBestWhereItsInstructionPays) {
  const std::vector<Tier> zen5 = {Tier::scalar, Tier::avx512vnni, Tier::avx512bf16};
  EXPECT_EQ(fastest_of(zen5, PairRates{.by_instruction = 500e9, .by_f32 = 250e9}).isa.tier, Tier::avx512bf16);
  const std::vector<Tier> without = {Tier::scalar, Tier::avx2};
  EXPECT_EQ(fastest_of(without, std::nullopt).isa.tier, Tier::avx2);
  EXPECT_THAT(fastest_of(without, std::nullopt).why,
              HasSubstr("best of this CPU, which has AVX2, FMA, F16C"));
}

TEST(FastestOf, PassesOverAnInstructionThatDoesNotPayAndSaysSo) {
  const std::vector<Tier> intel = {Tier::scalar, Tier::avx512vnni, Tier::avx512bf16};
  const jit::IsaChoice choice = fastest_of(intel, PairRates{.by_instruction = 82.4e9, .by_f32 = 190e9});
  EXPECT_EQ(choice.isa.tier, Tier::avx512vnni);
  EXPECT_THAT(choice.why, AllOf(HasSubstr("avx512bf16"), HasSubstr("82 GOP/s"), HasSubstr("190")));
}

TEST(FastestOf, TakesTilesWhereTheyPayAndLeavesWhatDoesNot) {
  const std::vector<Tier> tiers = {Tier::scalar, Tier::avx512vnni, Tier::avx512bf16, Tier::avx512amx};
  const PairRates slow{.by_instruction = 82.4e9, .by_f32 = 190e9},
      fast{.by_instruction = 500e9, .by_f32 = 250e9};
  const jit::TileRates good{.by_tiles = 7400e9, .by_vectors = 925e9},
      bad{.by_tiles = 1400e9, .by_vectors = 925e9};
  const jit::IsaChoice intel = fastest_of(tiers, slow, good);
  EXPECT_TRUE(intel.isa.has_tiles() && !intel.isa.has_bf16_dot());
  EXPECT_THAT(intel.why, AllOf(HasSubstr("7400 GOP/s"), HasSubstr("925")));
  EXPECT_TRUE(fastest_of(tiers, fast, good).isa.has_bf16_dot());
  EXPECT_EQ(fastest_of(tiers, slow, bad).isa.tier, Tier::avx512vnni);
  EXPECT_THAT(fastest_of(tiers, slow, bad).why,
              AllOf(HasSubstr("190"), HasSubstr("tiles multiply int8 at 1400")));
  EXPECT_EQ(fastest_of(tiers, fast, bad).isa.tier, Tier::avx512bf16);
  EXPECT_EQ(fastest_of(tiers, fast, std::nullopt).isa.tier, Tier::avx512bf16) << "unmeasured";
}

TEST(MeasurePairs, FindsTheSameRatioAgain) {
  const Tier best = host_tiers().back();
  if (!jit::Isa{best}.has_bf16_dot()) GTEST_SKIP() << "this CPU has no dot product of bf16";
  const PairRates first = jit::measure_pairs(best), second = jit::measure_pairs(best);
  EXPECT_GT(first.by_instruction, 0);
  EXPECT_EQ(first.instruction_pays(), second.instruction_pays());
}

TEST(ChooseIsa, TakesTheFastestUnlessTold) {
  const auto chosen = [](const char* variable_value) {
    const IsaVariable variable(variable_value);
    return choose_isa(std::nullopt);
  };
  std::vector<Tier> tiers = host_tiers();
  EXPECT_THAT(chosen(nullptr).why, HasSubstr("of this CPU"));
  if (jit::Isa{tiers.back()}.has_tiles()) tiers.pop_back();
  EXPECT_GE(chosen(nullptr).isa.tier,
            jit::Isa{tiers.back()}.has_bf16_dot() ? tiers[tiers.size() - 2] : tiers.back());
  EXPECT_EQ(chosen("").isa.tier, chosen(nullptr).isa.tier);
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

}  // namespace
}  // namespace llamajit::test::isa_choice_test
