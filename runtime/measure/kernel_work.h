// How much a kernel call has to do at least, to be held against the machine's limits.
#pragma once

#include <cstdint>

#include "jit/kernels/kernels.h"

namespace llamajit {

struct KernelWork {
  std::int64_t bytes = 0;       // that it must read or write, each counted once
  std::int64_t operations = 0;  // additions and multiplications of the formula; exp counts as one

  KernelWork& operator+=(const KernelWork& other) {
    bytes += other.bytes;
    operations += other.operations;
    return *this;
  }
};

// `args` are the key's Args, of a call that could be made now.
KernelWork work_of(const jit::KernelKey& key, const void* args);

}  // namespace llamajit
