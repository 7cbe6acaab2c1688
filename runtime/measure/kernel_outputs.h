// Which memory kernels write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/kernels.h"

namespace llamajit {

// A run of values that a kernel writes.
struct Output {
  enum class Type { f32, i32, u16, s8 };
  Type type;
  void* data;
  std::int64_t count;

  std::int64_t size() const { return type == Type::s8 ? 1 : type == Type::u16 ? 2 : 4; }  // of one value
  std::size_t bytes() const { return static_cast<std::size_t>(count * size()); }
};

// Of a call; the scratch that it leaves behind is not meant.
std::vector<Output> outputs_of(const jit::KernelKey& key, const void* args);

}  // namespace llamajit
