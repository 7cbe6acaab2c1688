// Rates of prefill and decode, beside what the machine allows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/forward/engine.h"

namespace llamajit {

struct BenchTest {
  enum class Kind { prefill, decode };
  Kind kind;
  int tokens;     // of one run
  int depth = 0;  // positions that stand in the cache before it
  int batch = 1;  // decode: sequences that go on together, each with so many tokens

  std::string name() const;  // "pp128", "tg128", "tg128@d2048"
};

struct BenchResult {
  BenchTest test;
  int threads = 0;
  double tokens_per_second = 0;  // of all sequences together, mean over the repeats
  double deviation = 0;          // standard deviation of the same
  double bytes_per_token =
      0;  // decode: weights and cache that a token reads. prefill: weights, over a chunk's tokens
  double operations_per_token = 0;  // useful ones: 2 for each weight, and attention's
  double limit = 0;  // decode: bytes/s, prefill: operations/s; 0 where there is none (scalar tier)

  double limit_share = 0;  // reached / limit, run by run, as machines drift; the mean of these

  double bytes_per_second() const { return bytes_per_token * tokens_per_second; }
};

// Runs a test once to warm up and `repeats` times for the record. The limit is measured right after, with the
// same threads on the same memory: reading all weights, or multiplying as the matmul kernels do. `progress`
// is told after each run. Throws std::runtime_error if the test does not fit into the context, or its
// sequences not into the engine's cache, which holds its own besides, and where layers have windows the text at the
// test's depth.
BenchResult run_bench(Engine& engine, const BenchTest& test, int repeats,
                      const std::function<void()>& progress);

}  // namespace llamajit
