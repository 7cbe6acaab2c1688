// Which memory kernels write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/kernels.h"

namespace llamajit {

// A run of values that a kernel writes.
struct Output {
  enum class Type : std::uint8_t { f32, f16, bf16, i32, s16, s8 };
  Type type;
  void* data;
  std::int64_t count;

  std::int64_t size() const {  // of one value
    return type == Type::s8 ? 1 : type == Type::f32 || type == Type::i32 ? 4 : 2;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(count * size()); }
};

// Of a call; the scratch that it leaves behind is not meant.
std::vector<Output> outputs_of(const jit::KernelKey& key, const void* args);

}  // namespace llamajit
