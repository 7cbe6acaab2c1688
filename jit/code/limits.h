// This measures what the machine allows, with code of the same tier
// as the kernels': it is the yardstick of every claim about speed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "jit/base/isa.h"
#include "jit/code/executable_memory.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

// Small generated loops that do one thing as fast as the tier can.
class LimitKernels {
 public:
  // For a tier that generates code.
  explicit LimitKernels(Isa isa);
  Isa isa() const { return isa_; }

  // Reads all of data (64-byte aligned, a multiple of 256 bytes) once.
  void read(const std::byte* data, std::int64_t bytes) const;
  // `turns` (>= 1) times a set of independent multiplications on registers; the return value is how many
  // operations a turn is (a multiplication and an addition count two).
  std::int64_t multiply_f32(std::int64_t turns) const;
  std::int64_t multiply_bf16(std::int64_t turns) const;  // multiply_f32 where there is no instruction
  std::int64_t dot_u8s8(std::int64_t turns, Sums16 sums = Sums16::none) const;  // of such codes
  std::int64_t dot_tiles(std::int64_t turns) const;  // of bytes; dot_u8s8 where there are no tiles

 private:
  using Loop = void (*)(const void* data, std::int64_t turns);
  Loop at(std::size_t offset) const;

  Isa isa_;
  std::size_t multiply_at_ = 0;
  std::array<std::size_t, kSums16> dot_at_{};  // of each Sums16
  std::size_t dot_bf16_at_ = 0;
  std::size_t dot_tiles_at_ = 0;
  ExecutableMemory memory_;
};

}  // namespace llamajit::jit
