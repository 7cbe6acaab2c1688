// FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), of 64 bits: the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace llamajit {

inline constexpr std::uint64_t kFnvBasis = 0xCBF29CE484222325;

// Of bytes behind those that `hash` is of.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = kFnvBasis) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

}  // namespace llamajit
