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

constexpr double kGiga = 1e9;

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

TileRates measure_tiles(Tier tier) {
  constexpr int kTries = 15;
  const LimitKernels loops(Isa{tier});
  BestRate by_tiles, by_vectors;
  for (int i = 0; i < kTries; ++i) {
    by_tiles.try_again([&](std::int64_t turns) { return loops.dot_tiles(turns); });
    by_vectors.try_again([&](std::int64_t turns) { return loops.dot_u8s8(turns); });
  }
  return {by_tiles.value(), by_vectors.value()};
}

IsaChoice fastest_of(std::span<const Tier> tiers, const std::optional<PairRates>& pairs,
                     const std::optional<TileRates>& tiles) {
  const Tier best = tiers.back();
  const bool pairs_pay = !pairs || pairs->instruction_pays();
  if (Isa{best}.has_tiles()) {
    const bool tiles_pay = tiles && tiles->tiles_pay();
    IsaChoice choice = tiles_pay ? IsaChoice{{best, !pairs_pay}, "the fastest of this CPU"}
                                 : fastest_of(tiers.first(tiers.size() - 1), pairs);
    if (tiles) {
      choice.why += fmt::format("{} multiply int8 at {:.0f} GOP/s, and vectors at {:.0f}",
                                tiles_pay ? ", whose tiles" : "; its tiles", tiles->by_tiles / kGiga,
                                tiles->by_vectors / kGiga);
    }
    return choice;
  }
  if (pairs_pay) return {{best}, the_best(best)};
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
    std::vector<Tier> tiers = usable_tiers();
    const Isa best{tiers.back()};
    IsaChoice choice =
        fastest_of(tiers, best.has_bf16_dot() ? std::optional(measure_pairs(best.tier)) : std::nullopt,
                   best.has_tiles() ? std::optional(measure_tiles(best.tier)) : std::nullopt);
    if (tiers.size() < host_tiers().size()) {
      choice.why += fmt::format("; the system refuses this process its tiles: {}", *tiles_refused());
    }
    return choice;
  }();
  return fastest;
}

}  // namespace llamajit::jit
