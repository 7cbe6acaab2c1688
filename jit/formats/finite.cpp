#include "jit/formats/packing.h"
#include "jit/formats/stored_numbers.h"

namespace llamajit::jit {
namespace {

// Whether none of n numbers has all bits of its exponent set, as NaN and the infinities have.
template <typename Bits>
bool none_full(const std::byte* at, std::int64_t n, Bits exponent) {
  Bits full = 0;  // as wide as the numbers, so that a vector holds as many of both
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = static_cast<Bits>(read_at<Bits>(at + i * std::int64_t{sizeof(Bits)}) & exponent);
    full |= static_cast<Bits>(bits == exponent ? 1 : 0);
  }
  return full == 0;
}

bool finite_floats(FormatKind kind, const std::byte* at, std::int64_t n) {
  constexpr std::uint32_t kF32 = 0x7F800000;
  constexpr std::uint16_t kF16 = 0x7C00, kBf16 = 0x7F80;
  if (kind == FormatKind::f32) return none_full(at, n, kF32);
  return none_full(at, n, kind == FormatKind::f16 ? kF16 : kBf16);
}

}  // namespace

bool all_finite(Format format, std::int64_t cols, const std::byte* tile) {
  const CodesLayout layout(format);
  if (layout.group == 0) {
    const std::int64_t padded = format.kind == FormatKind::bf16_pairs ? round_up(cols, 2) : cols;
    return finite_floats(format.kind, tile, padded * kLanes);
  }
  // Codes and their groups' small integers are finite whatever their bits.
  for (std::int64_t g = 0; g < cols / layout.group; ++g) {
    const std::byte* const record = tile + g * layout.group_bytes;
    if (!finite_floats(layout.floats, record + layout.scale_at, kLanes)) return false;
    if (layout.min_at > 0 && !finite_floats(layout.floats, record + layout.min_at, kLanes)) return false;
  }
  return true;
}

}  // namespace llamajit::jit
