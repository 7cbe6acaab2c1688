// A kernel as a step calls it.
#pragma once

#include "jit/code/code_cache.h"

namespace llamajit {

struct Target {
  const jit::KernelInfo* kernel = nullptr;
  jit::KernelEntry entry = nullptr;
  const void* key = nullptr;

  void call(const void* args) const { entry(args, key); }
  // Takes the kernel's address; after CodeCache::publish().
  void link();
};

}  // namespace llamajit
