// The cosines and sines of every position's rotations, computed once.
#pragma once

#include "runtime/memory.h"

namespace llamajit {

class RopeTable {
 public:
  // For pair i of a head, position p: the angle p * theta^(-2i / head_dim) (RoPE, arXiv:2104.09864).
  RopeTable(int positions, int head_dim, float theta);

  // (positions, 2, head_dim), as jit::RopeArgs wants it.
  const float* data() const { return reinterpret_cast<const float*>(memory_.data()); }

 private:
  PagedMemory memory_;
};

}  // namespace llamajit
