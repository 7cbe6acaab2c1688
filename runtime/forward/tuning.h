// The choice between variants of a kernel that give the same bits and differ in speed.
#pragma once

#include <map>
#include <string>

#include "jit/base/isa.h"
#include "jit/kernels/kernels.h"

namespace llamajit {

class Engine;

// How many tiles each matvec reads side by side (MatvecKey::streams), by the name that the kernel has with
// one.
struct Tuning {
  std::map<std::string, int> streams;

  // The key with the streams that were chosen for it, else with those that are best as a rule: two for f32,
  // one for quantised weights (docs/performance-changes.md). The 256-bit tiers have registers for one only.
  jit::MatvecKey choose(jit::MatvecKey key, jit::Isa isa) const;
};

// For each matvec of the engine's plan that its tuning does not know: measures the variants, in whole tokens,
// and leaves the engine with the fastest. Feeds tokens, so whatever was in the KV cache is lost.
void tune(Engine& engine);

}  // namespace llamajit
