#include "jit/base/isa.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xbyak/xbyak_util.h>

namespace llamajit::jit {
namespace {

using Xbyak::util::Cpu;

struct TierRow {
  Tier tier;
  std::string_view name;
  Cpu::Type requires_features;
  std::string_view features;  // the same, for messages
};

const Cpu::Type kAvx2 = Cpu::tAVX2 | Cpu::tFMA | Cpu::tF16C;
const Cpu::Type kAvx512 = kAvx2 | Cpu::tAVX512F | Cpu::tAVX512BW | Cpu::tAVX512DQ | Cpu::tAVX512VL;

const TierRow kTiers[] = {
    {Tier::scalar, "scalar", Cpu::Type{}, "nothing beyond x86-64"},
    {Tier::avx2, "avx2", kAvx2, "AVX2, FMA, F16C"},
    {Tier::avxvnni, "avxvnni", kAvx2 | Cpu::tAVX_VNNI, "AVX2, FMA, F16C, AVX-VNNI"},
    {Tier::avx512, "avx512", kAvx512, "AVX-512 F, BW, DQ, VL"},
    {Tier::avx512vnni, "avx512vnni", kAvx512 | Cpu::tAVX512_VNNI, "AVX-512 F, BW, DQ, VL, VNNI"},
    {Tier::avx512bf16, "avx512bf16", kAvx512 | Cpu::tAVX512_VNNI | Cpu::tAVX512_BF16,
     "AVX-512 F, BW, DQ, VL, VNNI, BF16"},
    {Tier::avx512amx, "avx512amx",
     kAvx512 | Cpu::tAVX512_VNNI | Cpu::tAVX512_BF16 | Cpu::tAMX_TILE | Cpu::tAMX_INT8,
     "AVX-512 F, BW, DQ, VL, VNNI, BF16, AMX-TILE, AMX-INT8"},
};

const TierRow& row(Tier tier) {
  return kTiers[static_cast<std::size_t>(tier)];
}

// Whether the system saves the tiles' configuration and data (XCR0), of a CPU that has AVX.
bool system_saves_tiles() {
  constexpr std::uint64_t kConfiguration = std::uint64_t{1} << 17, kData = std::uint64_t{1} << 18;
  return (~Cpu::getXfeature() & (kConfiguration | kData)) == 0;
}

std::vector<std::string_view> names(const std::vector<Tier>& tiers) {
  std::vector<std::string_view> out;
  out.reserve(tiers.size());
  for (Tier tier : tiers) out.push_back(to_string(tier));
  return out;
}

}  // namespace

std::string_view to_string(Tier tier) {
  return row(tier).name;
}

std::string_view features_of(Tier tier) {
  return row(tier).features;
}

Tier tier_named(std::string_view name, std::string_view asked_by) {
  const auto* found = std::ranges::find(kTiers, name, &TierRow::name);
  if (found != std::end(kTiers)) return found->tier;
  throw std::invalid_argument(
      fmt::format("{}: expected one of {}, found '{}'", asked_by,
                  fmt::join(names({std::begin(kAllTiers), std::end(kAllTiers)}), ", "), name));
}

Tier host_tier_named(std::string_view name, std::string_view asked_by) {
  const Tier tier = tier_named(name, asked_by);
  const std::vector<Tier> host = host_tiers();
  if (std::ranges::find(host, tier) != host.end()) return tier;
  throw std::runtime_error(fmt::format("{}: {} needs {}, which this CPU lacks; it has {}", asked_by, name,
                                       features_of(tier), fmt::join(names(host), ", ")));
}

std::vector<Tier> host_tiers() {
  static const Cpu cpu;
  std::vector<Tier> tiers;
  for (const TierRow& tier : kTiers) {
    if (!cpu.has(tier.requires_features)) continue;
    if (Isa{tier.tier}.has_tiles() && !system_saves_tiles()) continue;
    tiers.push_back(tier.tier);
  }
  return tiers;
}

std::string cpu_name() {
  std::array<std::uint32_t, 4> regs{};
  Cpu::getCpuid(0x80000000, regs.data());
  std::string brand;
  if (regs[0] >= 0x80000004) {
    for (std::uint32_t leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
      Cpu::getCpuid(leaf, regs.data());
      brand.append(reinterpret_cast<const char*>(regs.data()), sizeof regs);
    }
  }
  brand.resize(std::min(brand.size(), brand.find('\0')));
  while (brand.ends_with(' ')) brand.pop_back();
  Cpu::getCpuid(1, regs.data());
  return fmt::format("{} ({:08x})", brand, regs[0]);
}

}  // namespace llamajit::jit
