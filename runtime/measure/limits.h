// What this machine allows, measured with the threads that run kernels on their memory: the yardstick of the
// kernels.
#pragma once

#include <cstddef>
#include <span>

#include "jit/code/limits.h"
#include "runtime/forward/engine.h"

namespace llamajit {

class MachineLimits {
 public:
  // Of a tier that generates code, with a team's threads.
  MachineLimits(jit::Isa isa, Team& team, std::span<const std::byte> weights)
      : team_(team), weights_(weights), kernels_(isa) {}
  // Those of an engine, whose tier generates code.
  explicit MachineLimits(Engine& engine)
      : MachineLimits(engine.code().isa(), engine.team(),
                      {engine.weights().data(), engine.weights().bytes()}) {}

  // Reading all weights, in bytes/s.
  double read_weights() const;
  // Each thread reading what stays in its first-level cache, in bytes/s.
  double read_cached() const;
  // On registers alone, in operations/s.
  double dot_u8s8(jit::Sums16 sums = jit::Sums16::none) const;
  double dot_tiles() const;
  double multiply_f32() const;
  double multiply_bf16() const;
  // That of these which chunks of a prompt multiply matrices of the format with.
  double multiply(jit::Format format) const;

 private:
  template <class Loop>
  double rate_of(Loop loop) const;

  Team& team_;
  std::span<const std::byte> weights_;
  jit::LimitKernels kernels_;
};

}  // namespace llamajit
