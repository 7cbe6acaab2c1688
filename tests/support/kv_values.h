// Keys and values of a cache as plain numbers, and caches of random ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "jit/kernels/kv_layout.h"
#include "tests/support/kernel_check.h"

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

// Every position of `n_heads` heads holds numbers from [-magnitude, magnitude).
inline std::vector<std::byte> random_keys(const jit::KvLayout& layout, int n_heads, CallMemory& memory,
                                          float magnitude = 1) {
  std::vector<std::byte> keys(static_cast<std::size_t>(n_heads * layout.keys_bytes()));
  for (int head = 0; head < n_heads; ++head) {
    for (int pos = 0; pos < layout.seq_len; ++pos) {
      const auto x = memory.random_floats(static_cast<std::size_t>(layout.head_dim), -magnitude, magnitude);
      layout.write_key(keys.data() + head * layout.keys_bytes(), pos, x.data());
    }
  }
  return keys;
}
inline std::vector<std::byte> random_values(const jit::KvLayout& layout, int n_heads, CallMemory& memory,
                                            float magnitude = 1) {
  std::vector<std::byte> values(static_cast<std::size_t>(n_heads * layout.values_bytes()));
  for (int head = 0; head < n_heads; ++head) {
    for (int pos = 0; pos < layout.seq_len; ++pos) {
      const auto x = memory.random_floats(static_cast<std::size_t>(layout.head_dim), -magnitude, magnitude);
      layout.write_value(values.data() + head * layout.values_bytes(), pos, x.data());
    }
  }
  return values;
}

}  // namespace llamajit::test
