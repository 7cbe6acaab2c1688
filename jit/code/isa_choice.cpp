#include "jit/code/isa_choice.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/base/tile_permission.h"
#include "jit/code/limits.h"

namespace llamajit::jit {
namespace {

// Operations a second: the best of some tries, each long enough for the clock and far shorter than a scheduler's time
// slice. `work(turns)` returns those of a turn.
class BestRate {
 public:
  template <class Work>
  void try_again(Work work) {
    constexpr std::int64_t kTurns = 3000;
    const auto start = Clock::now();
    const auto done = static_cast<double>(work(kTurns) * kTurns);
    best_ = std::max(best_, done / std::chrono::duration<double>(Clock::now() - start).count());
  }
  double value() const { return best_; }

 private:
  using Clock = std::chrono::steady_clock;
  double best_ = 0;
};

std::string the_best(Tier tier) {
  return fmt::format("the best of this CPU, which has {}", features_of(tier));
}

// The host's tier of that name, which may run from now on.
Isa isa_named(std::string_view name, std::string_view asked_by) {
  const Tier tier = host_tier_named(name, asked_by);
  if (!Isa{tier}.has_tiles()) return {tier};
  if (const std::optional<std::string>& why = tiles_refused()) {
    throw std::runtime_error(
        fmt::format("{}: {} needs tiles, which the system refuses this process: {}", asked_by, name, *why));
  }
  static const bool pairs_pay = measure_pairs(tier).instruction_pays();
  return {tier, !pairs_pay};
}

}  // namespace

PairRates measure_pairs(Tier tier) {
  constexpr int kTries = 20;
  const LimitKernels loops(Isa{tier});
  BestRate by_instruction, by_f32;
  for (int i = 0; i < kTries; ++i) {  // in turns, since a CPU's clock changes when such work begins
    by_instruction.try_again([&](std::int64_t turns) { return loops.multiply_bf16(turns); });
    by_f32.try_again([&](std::int64_t turns) { return loops.multiply_f32(turns); });
  }
  return {by_instruction.value(), by_f32.value()};
}

IsaChoice fastest_of(std::span<const Tier> tiers, const std::optional<PairRates>& pairs) {
  const Tier best = tiers.back();
  if (!pairs || pairs->instruction_pays()) return {{best}, the_best(best)};
  constexpr double kGiga = 1e9;
  const Tier next = tiers[tiers.size() - 2];
  return {{next},
          fmt::format("the fastest of this CPU, whose {} multiplies bf16 at {:.0f} GOP/s, and f32 at {:.0f}",
                      to_string(best), pairs->by_instruction / kGiga, pairs->by_f32 / kGiga)};
}

std::vector<Tier> usable_tiers() {
  std::vector<Tier> tiers = host_tiers();
  if (Isa{tiers.back()}.has_tiles() && tiles_refused()) tiers.pop_back();
  return tiers;
}

IsaChoice choose_isa(const std::optional<std::string>& name) {
  if (name) return {isa_named(*name, "--isa"), "asked for by --isa"};
  if (const char* variable = std::getenv("LLAMAJIT_ISA"); variable != nullptr && *variable != '\0') {
    return {isa_named(variable, "LLAMAJIT_ISA"), "asked for by LLAMAJIT_ISA"};
  }
  // Once: a program that asks twice must not get two answers.
  static const IsaChoice fastest = [] {
    std::vector<Tier> tiers = host_tiers();
    std::erase(tiers, Tier::avx512amx);  // is used where it is asked for
    const bool pairs = Isa{tiers.back()}.has_bf16_dot();
    return fastest_of(tiers, pairs ? std::optional(measure_pairs(tiers.back())) : std::nullopt);
  }();
  return fastest;
}

}  // namespace llamajit::jit
