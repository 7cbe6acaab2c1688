// The floats that weights and the KV cache are stored as.
#pragma once

#include <cstdint>
#include <string_view>

namespace llamajit::jit {

// q8_0: s8 codes in blocks of kKvBlock dimensions, and a scale for each block of a position (KV cache only).
enum class ElementType : std::uint8_t { f32, f16, bf16, q8_0 };
std::string_view to_string(ElementType type);
inline constexpr int kKvBlock = 32;

}  // namespace llamajit::jit
