// What attention remembers: the keys and values of every position so far, in the layout that its kernels
// read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/kernels.h"
#include "runtime/memory.h"
#include "runtime/model_file.h"

namespace llamajit {

class KvCache {
 public:
  // Room for `context` positions, rounded up to whole groups of sixteen; zeros, and no memory used before it
  // is.
  KvCache(const Config& config, int context)
      : n_kv_heads_(config.n_kv_heads),
        positions_(static_cast<int>(jit::round_up(context, jit::kLanes))),
        head_values_(std::int64_t{positions_} * config.head_dim()),
        values_(head_values_ * n_kv_heads_ * config.n_layers),
        memory_(static_cast<std::size_t>(values_) * 2 * sizeof(float), "KV cache") {}

  int positions() const { return positions_; }
  // The keys (positions / 16, head_dim, 16) and values (positions, head_dim) of a head; the layer's next
  // heads follow.
  float* keys(std::ptrdiff_t layer, std::int64_t head) const { return data() + at(layer, head); }
  float* values(std::ptrdiff_t layer, std::int64_t head) const { return data() + values_ + at(layer, head); }
  std::size_t bytes() const { return memory_.size(); }

 private:
  float* data() const { return reinterpret_cast<float*>(memory_.data()); }
  std::int64_t at(std::ptrdiff_t layer, std::int64_t head) const {
    return (layer * n_kv_heads_ + head) * head_values_;
  }

  int n_kv_heads_;
  int positions_;
  std::int64_t head_values_;  // of one head, keys alone
  std::int64_t values_;       // of all heads of all layers, keys alone
  PagedMemory memory_;
};

}  // namespace llamajit
