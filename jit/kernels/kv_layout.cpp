#include "jit/kernels/kv_layout.h"

#include "jit/base/scalar_math.h"
#include "jit/base/unaligned.h"

namespace llamajit::jit {
float KvLayout::element(const std::byte* at) const {
  switch (type) {
    case ElementType::f32:
      return read_at<float>(at);
    case ElementType::f16:
      return half_to_float(read_at<std::uint16_t>(at));
    case ElementType::bf16:
      return bfloat_to_float(read_at<std::uint16_t>(at));
    case ElementType::q8_0:
      return read_at<std::int8_t>(at);
  }
  return 0;
}

void KvLayout::write_element(std::byte* at, float value) const {
  switch (type) {
    case ElementType::f32:
      return write_at(at, value);
    case ElementType::f16:
      return write_at(at, float_to_half(value));
    case ElementType::bf16:
      return write_at(at, float_to_bfloat(value));
    case ElementType::q8_0:
      return write_at(at, q8_code(value));
  }
}

template <class At, class ScaleAt>
void KvLayout::write(const float* x, At at, ScaleAt scale_at) const {
  for (int block = 0; block < blocks(); ++block) {
    const int begin = block * block_dims();
    const int end = std::min(begin + block_dims(), head_dim);
    if (!scaled()) {
      for (int d = begin; d < end; ++d) write_element(at(d), x[d]);
      continue;
    }
    const Q8Scale q8 = q8_scale(x + begin, end - begin);
    write_at(scale_at(block), q8.scale);
    for (int d = begin; d < end; ++d) write_element(at(d), x[d] * q8.inverse);
  }
}

void KvLayout::write_key(std::byte* keys, std::int64_t pos, const float* x) const {
  write(
      x, [&](int d) { return keys + key_at(pos, d); },
      [&](int block) { return keys + key_scale_at(pos, block); });
}

void KvLayout::write_value(std::byte* values, std::int64_t pos, const float* x) const {
  write(
      x, [&](int d) { return values + value_at(pos, d); },
      [&](int block) { return values + value_scale_at(pos, block); });
  const auto used = std::int64_t{head_dim} * element_bytes();
  std::memset(values + value_at(pos, head_dim), 0, static_cast<std::size_t>(value_row_bytes() - used));
}

}  // namespace llamajit::jit
