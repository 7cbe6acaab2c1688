// This measures what the machine allows, with an engine's
// threads on its memory: it is its kernels' yardstick.
#pragma once

#include "jit/code/limits.h"
#include "runtime/forward/engine.h"

namespace llamajit {

class MachineLimits {
 public:
  // For an engine whose tier generates code.
  explicit MachineLimits(Engine& engine) : engine_(engine), kernels_(engine.code().isa()) {}

  // Reading all weights, in bytes/s.
  double read_weights() const;
  // Each thread reading what stays in its first-level cache, in bytes/s.
  double read_cached() const;
  // On registers alone, in operations/s.
  double dot_u8s8(jit::Sums16 sums = jit::Sums16::none) const;
  double multiply_f32() const;
  double multiply_bf16() const;
  // That of these which matrices of the format multiply with.
  double multiply(jit::Format format) const;

 private:
  template <class Loop>
  double rate_of(Loop loop) const;

  Engine& engine_;
  jit::LimitKernels kernels_;
};

}  // namespace llamajit
