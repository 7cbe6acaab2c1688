// What attention remembers: the keys and values of every position so far, in the layout that its kernels
// read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/kernels/kv_layout.h"
#include "runtime/base/memory.h"
#include "runtime/model/model_file.h"

namespace llamajit {

class KvCache {
 public:
  // Room for `context` positions, rounded up to whole groups of sixteen; zeros, and no memory used before it
  // is.
  KvCache(const Config& config, int context, jit::ElementType type)
      : layout_(type, config.head_dim(), static_cast<int>(jit::round_up(context, jit::kLanes))),
        n_kv_heads_(config.n_kv_heads),
        group_(config.n_heads / config.n_kv_heads),
        keys_bytes_(layout_.keys_bytes() * n_kv_heads_ * config.n_layers),
        memory_(static_cast<std::size_t>((layout_.keys_bytes() + layout_.values_bytes()) * n_kv_heads_ *
                                         config.n_layers),
                "KV cache") {}

  const jit::KvLayout& layout() const { return layout_; }
  int positions() const { return layout_.seq_len; }
  // The kernels that write and read it.
  jit::KvAppendKey append_key() const { return {layout_.type, layout_.head_dim, layout_.seq_len}; }
  jit::AttentionKey attention_key() const {
    return {layout_.type, layout_.head_dim, group_, layout_.seq_len};
  }
  // The same for as many tokens at once as go well together, their queries `token_stride` floats apart.
  jit::AttentionKey tile_key(std::int64_t token_stride) const {
    jit::AttentionKey key = attention_key();
    key.tokens = jit::AttentionKey::best_tokens(group_);
    if (key.tokens > 1) key.token_stride = static_cast<int>(token_stride);
    return key;
  }
  jit::AttentionRangesKey ranges_key() const {
    return {layout_.type, layout_.head_dim, group_, layout_.seq_len};
  }
  jit::AttentionMergeKey merge_key() const { return {layout_.head_dim, layout_.seq_len}; }
  // A head's keys and values; those of the layer's next heads follow.
  std::byte* keys(std::ptrdiff_t layer, std::int64_t head) const {
    return memory_.data() + (layer * n_kv_heads_ + head) * layout_.keys_bytes();
  }
  std::byte* values(std::ptrdiff_t layer, std::int64_t head) const {
    return memory_.data() + keys_bytes_ + (layer * n_kv_heads_ + head) * layout_.values_bytes();
  }
  // What a position's keys and values take in all layers.
  std::int64_t bytes_per_position() const {
    return static_cast<std::int64_t>(memory_.size()) / layout_.seq_len;
  }

 private:
  jit::KvLayout layout_;
  std::int64_t n_kv_heads_;
  int group_;                // query heads for each K/V head
  std::int64_t keys_bytes_;  // of all heads of all layers
  PagedMemory memory_;
};

}  // namespace llamajit
