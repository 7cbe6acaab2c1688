#include "tools/common/rank_shares.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "jit/code/isa_choice.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/measure/limits.h"

namespace llamajit::cli {

double measure_reading(int threads) {
  // More than the largest last-level caches have for a thread, and for a few.
  constexpr std::size_t kBytes = std::size_t{512} << 20, kBytesOfThread = std::size_t{64} << 20;
  const jit::Tier tier = jit::usable_tiers().back();
  if (!jit::Isa{tier}.generates()) return 1;  // nothing to measure with: all such ranks are equals
  Team team(threads);
  const std::size_t bytes = std::max(kBytes, kBytesOfThread * static_cast<std::size_t>(threads));
  const PagedMemory memory(bytes, "measuring how fast memory is read");
  // Each thread writes what it will read, so that it lies on its node.
  auto write = [&](int thread) {
    const auto [begin, end] = share_of(static_cast<std::int64_t>(bytes), thread, threads);
    std::memset(memory.data() + begin, 1, static_cast<std::size_t>(end - begin));
  };
  team.run(write);
  return MachineLimits({tier}, team, {memory.data(), memory.size()}).read_weights();
}

std::vector<int> shares_of_rates(std::span<const double> rates) {
  constexpr double kSame = 1.1;
  constexpr double kMost = 100;
  const auto [least, most] = std::ranges::minmax(rates);
  std::vector<int> shares(rates.size(), 1);
  if (!(most > 0) || most <= kSame * least) return shares;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    shares[i] = std::max(1, static_cast<int>(std::lround(kMost * std::max(rates[i], 0.0) / most)));
  }
  return shares;
}

}  // namespace llamajit::cli
