// How a K/V head's part of a page lies in memory, kKvPage positions of one layer: the specification that
// kernels, twins and the runtime share.
//
//   f32, f16, bf16
//     keys    (kKvPage / 16, head_dim, 16): sixteen positions a vector: scores need no horizontal sums
//     values  (kKvPage, head_dim rounded up to 16): a row a position, its padding zeros
//
//   q8_0, in blocks of 32 dimensions, the last one shorter where these don't divide head_dim
//     keys    (kKvPage / 16, blocks): a block is its codes (dimensions, 16), then sixteen positions' scales
//     values  codes as the rows above, then scales (blocks, kKvPage): sixteen positions' are one vector, so
//             that as many weights are multiplied by them at once
//
// Positions here count from the page's first. From the head's first byte on, sixteen codes lie at a multiple
// of 16 bytes, and, where head_dim is a multiple of 4, sixteen elements of the other types and sixteen scales
// at a multiple of their own size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "jit/base/element_type.h"
#include "jit/base/lanes.h"
#include "jit/kernels/cursor.h"

namespace llamajit::jit {

struct KvLayout {
  KvLayout(ElementType kv_type, int dim) : type(kv_type), head_dim(dim) {}
  template <class Key>
  explicit KvLayout(const Key& key) : KvLayout(key.type, key.head_dim) {}

  ElementType type;
  int head_dim;

  // Whether elements are codes that a block's scale multiplies.
  bool scaled() const { return type == ElementType::q8_0; }
  // Without scales all dimensions are one block.
  int block_dims() const { return scaled() ? kKvBlock : head_dim; }
  int blocks() const { return static_cast<int>(divide_up(head_dim, block_dims())); }

  int element_bytes() const { return type == ElementType::f32 ? 4 : type == ElementType::q8_0 ? 1 : 2; }
  int vector_bytes() const { return kLanes * element_bytes(); }   // sixteen elements
  int scales_bytes() const { return scaled() ? kLanes * 4 : 0; }  // sixteen positions' scales of a block
  // Sixteen positions' keys; one position's values.
  int key_group_bytes() const { return head_dim * vector_bytes() + blocks() * scales_bytes(); }
  int value_row_bytes() const { return static_cast<int>(round_up(head_dim, kLanes)) * element_bytes(); }
  // One head's keys; its values' rows; all its values.
  std::int64_t keys_bytes() const { return std::int64_t{kKvPage / kLanes} * key_group_bytes(); }
  std::int64_t value_rows_bytes() const { return std::int64_t{kKvPage} * value_row_bytes(); }
  std::int64_t values_bytes() const {
    return value_rows_bytes() + std::int64_t{kKvPage / kLanes} * blocks() * scales_bytes();
  }

  // Where an element, or the scale of a block, lies from the head's first byte on.
  std::int64_t key_at(std::int64_t pos, int d) const {
    return pos / kLanes * key_group_bytes() + std::int64_t{d} * vector_bytes() +
           d / block_dims() * scales_bytes() + pos % kLanes * element_bytes();
  }
  std::int64_t key_scale_at(std::int64_t pos, int block) const {
    const int dims_to_its_end = std::min((block + 1) * block_dims(), head_dim);
    return pos / kLanes * key_group_bytes() + std::int64_t{dims_to_its_end} * vector_bytes() +
           block * scales_bytes() + pos % kLanes * 4;
  }
  std::int64_t value_at(std::int64_t pos, int d) const {
    return pos * value_row_bytes() + std::int64_t{d} * element_bytes();
  }
  std::int64_t value_scale_at(std::int64_t pos, int block) const {
    return value_rows_bytes() + (std::int64_t{block} * kKvPage + pos) * 4;
  }

  // An element as it is stored, without its block's scale.
  float element(const std::byte* at) const;
  // Writes x (head_dim) at a position of a head's cache, rounded to nearest even; values' padding too.
  void write_key(std::byte* keys, std::int64_t pos, const float* x) const;
  void write_value(std::byte* values, std::int64_t pos, const float* x) const;

 private:
  void write_element(std::byte* at, float value) const;
  template <class At, class ScaleAt>
  void write(const float* x, At at, ScaleAt scale_at) const;
};

}  // namespace llamajit::jit
