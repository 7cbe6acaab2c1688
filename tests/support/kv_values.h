// Keys and values of a cache as plain numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "jit/kernels/kv_layout.h"

namespace llamajit::test {

inline constexpr std::array kKvTypes = {jit::ElementType::f32, jit::ElementType::f16, jit::ElementType::bf16,
                                        jit::ElementType::q8_0};

inline std::string_view name_of(jit::ElementType type) {
  static constexpr std::array kNames = {"f32", "f16", "bf16", "q8_0"};
  return kNames[static_cast<std::size_t>(type)];
}

inline float scale_at(const std::byte* at) {
  float scale;
  std::memcpy(&scale, at, sizeof scale);
  return scale;
}

inline double key_value(const jit::KvLayout& layout, const std::byte* keys, std::int64_t pos, int d) {
  const double element = layout.element(keys + layout.key_at(pos, d));
  return layout.scaled() ? element * scale_at(keys + layout.key_scale_at(pos, d / layout.block_dims()))
                         : element;
}
inline double value_value(const jit::KvLayout& layout, const std::byte* values, std::int64_t pos, int d) {
  const double element = layout.element(values + layout.value_at(pos, d));
  return layout.scaled() ? element * scale_at(values + layout.value_scale_at(pos, d / layout.block_dims()))
                         : element;
}

}  // namespace llamajit::test
