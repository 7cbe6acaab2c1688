// Instruction tiers: what this CPU has, and which of it the generated code may use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::jit {

enum class Tier : std::uint8_t {
  scalar,      // no generated code: the scalar twins themselves run
  avx2,        // AVX2, FMA, F16C
  avxvnni,     // avx2 and the VEX-encoded int8 dot product
  avx512,      // AVX-512 F, BW, DQ, VL
  avx512vnni,  // avx512 and the int8 dot product
  avx512bf16,  // avx512vnni and the bf16 dot product
  avx512amx,   // avx512bf16 and tiles, with their int8 dot product
};

inline constexpr Tier kAllTiers[] = {Tier::scalar,     Tier::avx2,       Tier::avxvnni,  Tier::avx512,
                                     Tier::avx512vnni, Tier::avx512bf16, Tier::avx512amx};

std::string_view to_string(Tier tier);
std::string_view features_of(Tier tier);  // for messages: "AVX2, FMA, F16C"

// A tier as the emitter asks about it.
struct Isa {
  Tier tier = Tier::scalar;
  bool avoids_bf16_dot = false;  // which the tier has, but which is slow on this CPU

  bool generates() const { return tier != Tier::scalar; }
  bool wide() const { return tier >= Tier::avx512; }  // 512-bit registers, 32 of them
  bool has_dot() const { return tier == Tier::avxvnni || tier >= Tier::avx512vnni; }
  bool has_bf16_dot() const { return tier >= Tier::avx512bf16 && !avoids_bf16_dot; }
  // Code with tiles may run once the system has allowed them (tile_permission.h).
  bool has_tiles() const { return tier == Tier::avx512amx; }
};

// The tier of that name, whether the host has it or not. Throws std::invalid_argument that says who asked.
Tier tier_named(std::string_view name, std::string_view asked_by);
// The same of one that the host has; else throws std::runtime_error as well.
Tier host_tier_named(std::string_view name, std::string_view asked_by);

// Every tier that this CPU and operating system can run, lowest first; the last one is the best.
std::vector<Tier> host_tiers();

// This CPU, as precisely as it tells: brand, family, model and stepping.
std::string cpu_name();

}  // namespace llamajit::jit
