// How a K/V head's cache lies in memory: the specification that kernels, twins and the runtime share.
//
//   keys    (seq_len / 16, head_dim, 16): sixteen positions a vector, so that scores need no horizontal sums
//   values  (seq_len, head_dim rounded up to 16): a row a position, its padding zeros
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/kernels.h"

namespace llamajit::jit {

struct KvLayout {
  KvLayout(KvType kv_type, int dim, int positions) : type(kv_type), head_dim(dim), seq_len(positions) {}
  template <class Key>
  explicit KvLayout(const Key& key) : KvLayout(key.type, key.head_dim, key.seq_len) {}

  KvType type;
  int head_dim;
  int seq_len;  // a multiple of 16

  int element_bytes() const { return type == KvType::f32 ? 4 : 2; }
  int vector_bytes() const { return kLanes * element_bytes(); }  // sixteen elements
  // Sixteen positions' keys; one position's values.
  int key_group_bytes() const { return head_dim * vector_bytes(); }
  int value_row_bytes() const { return static_cast<int>(round_up(head_dim, kLanes)) * element_bytes(); }
  // One head's keys; one head's values.
  std::int64_t keys_bytes() const { return std::int64_t{seq_len / kLanes} * key_group_bytes(); }
  std::int64_t values_bytes() const { return std::int64_t{seq_len} * value_row_bytes(); }

  // Where an element lies from the head's first byte on.
  std::int64_t key_at(std::int64_t pos, int d) const {
    return pos / kLanes * key_group_bytes() + (std::int64_t{d} * kLanes + pos % kLanes) * element_bytes();
  }
  std::int64_t value_at(std::int64_t pos, int d) const {
    return pos * value_row_bytes() + std::int64_t{d} * element_bytes();
  }

  float read(const std::byte* at) const;
  void write(std::byte* at, float value) const;  // rounds to nearest even
};

}  // namespace llamajit::jit
