// Matrices for kernel tests: as a file would store them, packed, and as plain numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kernels.h"

namespace llamajit::test {

class RandomMatrix {
 public:
  // f32 values in [-1, 1); q8_0 codes over all of int8 and scales in [0, 0.02).
  RandomMatrix(jit::Format format, int rows, int cols, std::mt19937_64& random)
      : format_(format), rows_(rows), cols_(cols) {
    const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
    if (format.kind == jit::FormatKind::f32) {
      for (std::size_t i = 0; i < count; ++i) append(data_, unit(random) * 2 - 1);
      return;
    }
    for (std::size_t i = 0; i < count; ++i) data_.push_back(static_cast<std::byte>(random() >> 56));
    for (std::size_t i = 0; i < count / static_cast<std::size_t>(format.group); ++i) {
      append(scales_, unit(random) * 0.02F);
    }
  }

  jit::SourceMatrix source() const { return {format_, rows_, cols_, data_, scales_}; }

  std::vector<std::byte> packed() const {
    const std::int64_t bytes = jit::tile_bytes(format_, cols_);
    std::vector<std::byte> out(static_cast<std::size_t>(jit::packed_bytes(format_, rows_, cols_)));
    for (std::int64_t tile = 0; tile * jit::kLanes < rows_; ++tile) {
      jit::pack_tile(source(), tile, out.data() + tile * bytes);
    }
    return out;
  }

  float f32(int row, int col) const { return read(data_, index(row, col)); }
  int code(int row, int col) const { return static_cast<std::int8_t>(data_[index(row, col)]); }
  float scale(int row, int group) const {
    return read(scales_, static_cast<std::size_t>(row) * static_cast<std::size_t>(cols_ / format_.group) +
                             static_cast<std::size_t>(group));
  }
  double value(int row, int col) const {
    if (format_.kind == jit::FormatKind::f32) return f32(row, col);
    return double{scale(row, col / format_.group)} * code(row, col);
  }

 private:
  static float unit(std::mt19937_64& random) { return static_cast<float>(random() >> 40) * 0x1p-24F; }
  static void append(std::vector<std::byte>& to, float value) {
    to.resize(to.size() + sizeof value);
    std::memcpy(to.data() + to.size() - sizeof value, &value, sizeof value);
  }
  static float read(const std::vector<std::byte>& from, std::size_t index) {
    float value;
    std::memcpy(&value, from.data() + index * sizeof value, sizeof value);
    return value;
  }
  std::size_t index(int row, int col) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(cols_) + static_cast<std::size_t>(col);
  }

  jit::Format format_;
  int rows_, cols_;
  std::vector<std::byte> data_, scales_;
};

// Tiles of gate and up in turn, as swiglu wants them.
inline std::vector<std::byte> packed_pair(jit::Format format, int cols, const RandomMatrix& gate,
                                          const RandomMatrix& up) {
  const auto bytes = jit::tile_bytes(format, cols);
  const std::vector<std::byte> packed_gate = gate.packed(), packed_up = up.packed();
  std::vector<std::byte> out;
  for (auto at = packed_gate.begin(), at_up = packed_up.begin(); at != packed_gate.end();
       at += bytes, at_up += bytes) {
    out.insert(out.end(), at, at + bytes);
    out.insert(out.end(), at_up, at_up + bytes);
  }
  return out;
}

// The groups of q8_0 that tests walk: real ones, odd ones, ones shorter than a vector, ones that loop.
inline constexpr int kGroups[] = {64, 32, 43, 4, 1, 2, 3, 20, 100, 256, 512};

}  // namespace llamajit::test
