// Numbers as files and packed matrices have them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/base/scalar_math.h"
#include "jit/base/unaligned.h"
#include "jit/formats/format.h"

namespace llamajit::jit {

// Formats of floats.
inline int float_bytes(FormatKind kind) {
  return kind == FormatKind::f32 ? 4 : 2;
}

inline float float_value(FormatKind kind, const std::byte* at) {
  if (kind == FormatKind::f32) return read_at<float>(at);
  const auto bits = read_at<std::uint16_t>(at);
  return kind == FormatKind::f16 ? half_to_float(bits) : bfloat_to_float(bits);
}

// Formats of blocks: of a group in a file.
inline std::int64_t block_bytes(Format format) {
  return format_traits(format.kind)->block_bytes;
}

}  // namespace llamajit::jit
