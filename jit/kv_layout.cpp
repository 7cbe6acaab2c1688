#include "jit/kv_layout.h"

#include <bit>
#include <cstring>

#include "jit/scalar_math.h"

namespace llamajit::jit {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

float KvLayout::read(const std::byte* at) const {
  switch (type) {
    case KvType::f32:
      return load<float>(at);
    case KvType::f16:
      return half_to_float(load<std::uint16_t>(at));
    case KvType::bf16:
      return bfloat_to_float(load<std::uint16_t>(at));
  }
  return 0;
}

void KvLayout::write(std::byte* at, float value) const {
  if (type == KvType::f32) {
    std::memcpy(at, &value, sizeof value);
    return;
  }
  const std::uint16_t bits = type == KvType::f16 ? float_to_half(value) : float_to_bfloat(value);
  std::memcpy(at, &bits, sizeof bits);
}

}  // namespace llamajit::jit
