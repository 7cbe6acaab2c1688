// Numbers in memory that need not be aligned for them.
#pragma once

#include <cstddef>
#include <cstring>

namespace llamajit::jit {

template <class T>
T read_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void write_at(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

}  // namespace llamajit::jit
