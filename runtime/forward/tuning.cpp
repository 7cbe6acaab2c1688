#include "runtime/forward/tuning.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/forward/engine.h"

namespace llamajit {
namespace {

using jit::MatvecKey;

constexpr int kStreams[] = {1, 2, 4};
// A variant must be faster by this much, or the order of measuring would decide.
constexpr double kWorthwhile = 0.985;
constexpr int kRounds = 5;
constexpr double kRoundSeconds = 0.002;

std::string name_of(MatvecKey key) {
  key.streams = 1;
  return kernel_name(key);
}

// The matvecs of the engine's plan, each once.
std::vector<MatvecKey> matvecs_of(const Engine& engine) {
  std::vector<MatvecKey> keys;
  for (const jit::KernelInfo& kernel : engine.code().kernels()) {
    const auto* const key = std::get_if<MatvecKey>(&kernel.key);
    if (key != nullptr && key->tokens == 1) keys.push_back(*key);
  }
  return keys;
}

// Seconds a token takes, after one that warms up.
double seconds_per_token(Engine& engine) {
  engine.feed(0, 0, true);
  const auto start = Clock::now();
  for (int tokens = 1;; ++tokens) {
    engine.feed(0, 0, true);
    const double seconds = seconds_since(start);
    if (seconds >= kRoundSeconds) return seconds / tokens;
  }
}

// The best times of two tunings, measured in turns: what slows the machine down for a while slows down both.
std::pair<double, double> compare(Engine& engine, const Tuning& a, const Tuning& b) {
  std::pair best{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  for (int round = 0; round < kRounds; ++round) {
    engine.use(a);
    best.first = std::min(best.first, seconds_per_token(engine));
    engine.use(b);
    best.second = std::min(best.second, seconds_per_token(engine));
  }
  return best;
}

}  // namespace

MatvecKey Tuning::choose(MatvecKey key, jit::Isa isa) const {
  if (!isa.wide()) return key;
  const auto found = streams.find(name_of(key));
  const bool floats = !has_codes(key.format);
  key.streams = found != streams.end() ? found->second : floats ? 2 : 1;
  return key;
}

void tune(Engine& engine) {
  if (!engine.code().isa().wide()) return;
  Tuning best = engine.tuning();
  for (const MatvecKey& key : matvecs_of(engine)) {
    const std::string name = name_of(key);
    if (!best.streams.try_emplace(name, key.streams).second) continue;
    for (const int streams : kStreams) {
      if (streams == key.streams) continue;
      Tuning other = best;
      other.streams[name] = streams;
      const auto [now, then] = compare(engine, best, other);
      if (then < now * kWorthwhile) best = other;
    }
  }
  engine.use(best);
}

}  // namespace llamajit
