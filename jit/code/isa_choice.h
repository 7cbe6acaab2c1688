// Which tier is to run: the one that was asked for, or the fastest of this CPU.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/base/isa.h"

namespace llamajit::jit {

struct IsaChoice {
  Isa isa;
  std::string why;  // "the best of this CPU, …", "asked for by …"
};

// The tier to use: the one named, else the one in LLAMAJIT_ISA, else the fastest. All give the same bits. Throws
// std::invalid_argument for a name that is no tier, std::runtime_error for a tier that the host lacks or whose tiles the
// system refuses.
IsaChoice choose_isa(const std::optional<std::string>& name);

// host_tiers() but for one whose tiles the system refuses: code of each of them may run from now on.
std::vector<Tier> usable_tiers();

// How fast pairs of bf16 are multiplied and added up, in operations a second. CPUID says which instructions exist, not
// which pay: VDPBF16PS does two to four times the work of f32's multiplications on some CPUs, and less than half of it on
// others.
struct PairRates {
  double by_instruction = 0;
  double by_f32 = 0;

  // Pairs that f32 multiplies must be taken apart, which costs a third of its rate.
  bool instruction_pays() const { return by_instruction > by_f32 * 2 / 3; }
};
// Measures both in less than a millisecond. `tier` has the instruction.
PairRates measure_pairs(Tier tier);

// How fast bytes are multiplied and added up, in operations a second.
struct TileRates {
  double by_tiles = 0;
  double by_vectors = 0;

  // Groups of 32, the shortest that are multiplied so, fill half a tile.
  bool tiles_pay() const { return by_tiles / 2 > by_vectors; }
};
// Measures both in two milliseconds. `tier` has tiles, which the system allows.
TileRates measure_tiles(Tier tier);

// The fastest of some tiers, lowest first; the rates are there where the last of them has what they are about.
IsaChoice fastest_of(std::span<const Tier> tiers, const std::optional<PairRates>& pairs,
                     const std::optional<TileRates>& tiles = std::nullopt);

}  // namespace llamajit::jit
