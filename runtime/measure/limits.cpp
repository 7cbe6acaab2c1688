#include "runtime/measure/limits.h"

#include <algorithm>

#include "jit/kernels/matmul.h"
#include "runtime/base/clock.h"

namespace llamajit {
namespace {

constexpr std::int64_t kTurns = 200000;
constexpr std::int64_t kBlock = 256;  // of bytes, that reading takes at once
constexpr std::int64_t kRoundBytes = std::int64_t{32} << 20;

// The best of many tries, in units/s when work() does `units`. Each is long enough for the clock, and shorter
// than a scheduler's time slice, where work() allows: on a busy machine longer ones would all be interrupted.
template <class Work>
double best_rate(double units, Work work) {
  constexpr int kLeastTries = 3;
  constexpr double kTrySeconds = 0.001;
  constexpr double kAllSeconds = 0.05;
  double best = 0;
  const auto first = Clock::now();
  for (int tries = 0; tries < kLeastTries || seconds_since(first) < kAllSeconds; ++tries) {
    const auto start = Clock::now();
    double done = 0;
    double seconds = 0;
    do {
      work();
      done += units;
      seconds = seconds_since(start);
    } while (seconds < kTrySeconds);
    best = std::max(best, done / seconds);
  }
  return best;
}

}  // namespace

double MachineLimits::read_weights() const {
  const std::int64_t blocks = static_cast<std::int64_t>(weights_.size()) / kBlock;
  // Small footprints are read several times between two meetings of the threads: it is reading that is
  // measured.
  const int rounds = static_cast<int>(std::max<std::int64_t>(1, kRoundBytes / (blocks * kBlock + 1)));
  auto read = [&](int thread) {
    const auto [begin, end] = share_of(blocks, thread, team_.size());
    for (int i = 0; i < rounds; ++i) {
      kernels_.read(weights_.data() + begin * kBlock, (end - begin) * kBlock);
    }
  };
  return best_rate(static_cast<double>(blocks * kBlock) * rounds, [&] { team_.run(read); });
}

double MachineLimits::read_cached() const {
  constexpr std::int64_t kCached = 16 << 10;  // half of the smallest first-level caches
  const std::int64_t bytes = std::min(kCached, static_cast<std::int64_t>(weights_.size()) / kBlock * kBlock);
  constexpr int kRounds = 256;
  auto read = [&](int) {
    for (int i = 0; i < kRounds; ++i) kernels_.read(weights_.data(), bytes);
  };
  return best_rate(static_cast<double>(bytes) * kRounds * team_.size(), [&] { team_.run(read); });
}

// Measures a loop that says how many operations a turn is.
template <class Loop>
double MachineLimits::rate_of(Loop loop) const {
  const auto operations = static_cast<double>(loop(1));
  auto multiply = [&](int) { (void)loop(kTurns); };
  return best_rate(operations * kTurns * team_.size(), [&] { team_.run(multiply); });
}

double MachineLimits::dot_u8s8(jit::Sums16 sums) const {
  return rate_of([&](std::int64_t turns) { return kernels_.dot_u8s8(turns, sums); });
}

double MachineLimits::multiply_f32() const {
  return rate_of([&](std::int64_t turns) { return kernels_.multiply_f32(turns); });
}

double MachineLimits::multiply_bf16() const {
  return rate_of([&](std::int64_t turns) { return kernels_.multiply_bf16(turns); });
}

double MachineLimits::dot_tiles() const {
  return rate_of([&](std::int64_t turns) { return kernels_.dot_tiles(turns); });
}

double MachineLimits::multiply(jit::Format format) const {
  if (uses_tiles(kernels_.isa(), format)) return dot_tiles();
  if (has_codes(format)) return dot_u8s8(jit::CodesLayout(format).sums16());
  return format.kind == jit::FormatKind::bf16_pairs ? multiply_bf16() : multiply_f32();
}

}  // namespace llamajit
