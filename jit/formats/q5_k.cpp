// f16 scale; f16 of minus the min; 12 bytes of subscales and submins (k_factors.h); 32 bytes of the codes'
// fifth bits, bit b of byte i being weight 32 b + i; 128 bytes of their nibbles, of which 32 bytes hold 64
// weights: the low nibbles the first 32.
#include "jit/formats/k_factors.h"

namespace llamajit::jit {
namespace {

constexpr int kRun = 32, kRuns = 4;
constexpr std::size_t kMin = 2, kFactors = 4, kHigh = 16, kLow = 48;

void split(const std::byte* block, Group& to) {
  to.scale = load_half(block);
  to.min = -load_half(block + kMin);
  split_k_factors(block + kFactors, to);
  for (int run = 0; run < kRuns; ++run) {
    split_nibbles<kRun>(block + kLow + kRun * run, to.codes + 2 * kRun * run);
  }
  split_eighths<4>(block + kHigh, to.codes);
}

void join(const Group& from, std::byte* block) {
  store_half(from.scale, block);
  store_half(-from.min, block + kMin);
  join_k_factors(from, block + kFactors);
  join_eighths<4>(from.codes, block + kHigh);
  for (int run = 0; run < kRuns; ++run) {
    join_nibbles<kRun>(from.codes + 2 * kRun * run, block + kLow + kRun * run);
  }
}

}  // namespace

const BlockLayout kQ5KLayout = {split, join};

}  // namespace llamajit::jit
