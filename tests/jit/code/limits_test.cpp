#include "jit/code/limits.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_check.h"
#include "tests/support/tile_emulator.h"

namespace llamajit::test::limits_test {
namespace {

using jit::Isa;
using jit::LimitKernels;
using jit::Tier;

TEST(Limits, CodeIsGeneratedForTiersThatTheHostLacksToo) {
  for (const Tier tier : jit::kAllTiers) {
    if (tier == Tier::scalar) continue;
    EXPECT_NO_THROW(LimitKernels{Isa{tier}}) << to_string(tier);
  }
}

TEST(Limits, ReadsStayWithinTheBuffer) {
  for (const Tier tier : generating_host_tiers()) {
    const LimitKernels kernels(Isa{tier});
    for (const std::size_t bytes : {0, 255, 256, 257, 511, 512, 1024, 4096, 4352, 65536}) {
      // Sizes of whole reads end flush against an inaccessible page; 64-byte alignment moves others off it.
      const std::size_t slack =
          static_cast<std::size_t>(jit::round_up(static_cast<std::int64_t>(bytes), 64)) - bytes;
      const GuardedBuffer<std::byte> back(bytes, Edge::back, slack);
      kernels.read(back.data(), static_cast<std::int64_t>(bytes));
      EXPECT_FALSE(back.touched_slack());
      const GuardedBuffer<std::byte> front(bytes, Edge::front);
      kernels.read(front.data(), static_cast<std::int64_t>(bytes));
      EXPECT_FALSE(front.touched_slack());
      for (const std::byte b : back.span()) ASSERT_EQ(b, std::byte{0xFF});
    }
  }
}

// And operations that a lane does at once, at least.
using Loop = std::int64_t (*)(const LimitKernels& kernels, std::int64_t turns);
constexpr std::pair<Loop, int> kMultiplications[] = {
    {[](const LimitKernels& k, std::int64_t turns) { return k.multiply_f32(turns); }, 2},
    {[](const LimitKernels& k, std::int64_t turns) { return k.multiply_bf16(turns); }, 2},
    {[](const LimitKernels& k, std::int64_t turns) { return k.dot_u8s8(turns, jit::Sums16::none); }, 8},
    {[](const LimitKernels& k, std::int64_t turns) { return k.dot_u8s8(turns, jit::Sums16::one_step); }, 8},
    {[](const LimitKernels& k, std::int64_t turns) { return k.dot_u8s8(turns, jit::Sums16::two_steps); }, 8},
    {[](const LimitKernels& k, std::int64_t turns) { return k.dot_u8s8(turns, jit::Sums16::four_steps); }, 8},
    {[](const LimitKernels& k, std::int64_t turns) { return k.dot_u8s8(turns, jit::Sums16::subgroup); }, 8}};

TEST(Limits, TurnsAreWholeVectorsOfOperations) {
  for (const Tier tier : generating_host_tiers()) {
    const LimitKernels kernels(Isa{tier});
    for (const auto& [loop, per_lane] : kMultiplications) {
      const std::int64_t operations = loop(kernels, 1);
      EXPECT_GT(operations, 0) << to_string(tier);
      EXPECT_EQ(operations % (per_lane * jit::kLanes), 0) << to_string(tier);
      // A turn is the same however many there are.
      EXPECT_EQ(loop(kernels, 1000), operations);
    }
  }
}

TEST(Limits, TilesTakeAsManyTurnsAsTheyAreTold) {
  if (!tile_kernels_run()) GTEST_SKIP() << "this CPU lacks what stands beside tiles";
  const LimitKernels kernels(Isa{Tier::avx512amx});
  const std::int64_t operations = kernels.dot_tiles(1);
  EXPECT_EQ(operations % (2 * 16 * 16 * 64), 0);
  const auto instructions = [&](std::int64_t turns) {
    const std::uint64_t before = emulated_instructions();
    EXPECT_EQ(kernels.dot_tiles(turns), operations);
    return emulated_instructions() - before;
  };
  const std::uint64_t one = instructions(1);
  if (one == 0) GTEST_SKIP() << "the CPU's own tiles run here";
  EXPECT_EQ(instructions(11) - one, static_cast<std::uint64_t>(10 * operations / (2 * 16 * 16 * 64)));
  EXPECT_FALSE(take_leftover_tiles());
}

// Should the loop ignore its count, the limits would be nonsense. Times are the only thing that shows it; the
// bounds are far from them.
TEST(Limits, MoreTurnsTakeLonger) {
  using Clock = std::chrono::steady_clock;
  const auto best_seconds = [](auto work) {
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const auto start = Clock::now();
      work();
      best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
  };
  for (const Tier tier : generating_host_tiers()) {
    const LimitKernels kernels(Isa{tier});
    for (const auto& multiplication : kMultiplications) {
      const Loop& loop = multiplication.first;
      const double few = best_seconds([&] { loop(kernels, 1000); });
      const double many = best_seconds([&] { loop(kernels, 1000000); });
      EXPECT_GT(many, 50 * few) << to_string(tier) << ", " << multiplication.second;
    }
  }
}

}  // namespace
}  // namespace llamajit::test::limits_test
