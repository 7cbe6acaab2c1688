#include "jit/base/isa.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/base/tile_permission.h"

namespace llamajit::test::isa_test {
namespace {

using jit::host_tiers;
using jit::Tier;

bool host_has(Tier tier) {
  return std::ranges::count(host_tiers(), tier) == 1;
}

// Those that /proc/cpuinfo names, which the system uses.
std::vector<std::string> cpu_flags() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
  }
  return {};
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
  const bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
  EXPECT_EQ(host_has(Tier::avx512bf16), bf16);
  const std::vector<std::string> flags = cpu_flags();
  const auto has = [&](const char* flag) { return std::ranges::count(flags, flag) == 1; };
  EXPECT_EQ(host_has(Tier::avx512amx), bf16 && has("amx_tile") && has("amx_int8"));
}

TEST(Isa, TellsWhatTheEmitterMayUse) {
  EXPECT_FALSE(jit::Isa{Tier::scalar}.generates());
  EXPECT_TRUE(jit::Isa{Tier::avxvnni}.has_dot() && !jit::Isa{Tier::avxvnni}.wide());
  EXPECT_TRUE(jit::Isa{Tier::avx512}.wide() && !jit::Isa{Tier::avx512}.has_dot());
  EXPECT_TRUE(jit::Isa{Tier::avx512amx}.has_tiles() && !jit::Isa{Tier::avx512bf16}.has_tiles());
  EXPECT_TRUE(jit::Isa{Tier::avx512amx}.wide() && jit::Isa{Tier::avx512amx}.has_dot());
  EXPECT_TRUE(jit::Isa{Tier::avx512amx}.has_bf16_dot());
  const jit::Isa avoiding{Tier::avx512amx, true};
  EXPECT_TRUE(avoiding.has_tiles() && !avoiding.has_bf16_dot());
}

// Only a system that has tiles gives them; others say why not.
TEST(TilePermission, IsGivenOrRefusedForAReason) {
  const std::vector<std::string> flags = cpu_flags();
  const bool has_tiles = std::ranges::count(flags, "amx_tile") == 1;
  const pid_t child = fork();  // as the permission can't be given back
  ASSERT_NE(child, -1);
  if (child == 0) {
    const std::optional<std::string>& refused = jit::tiles_refused();
    _exit((refused ? !refused->empty() : has_tiles) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace llamajit::test::isa_test
