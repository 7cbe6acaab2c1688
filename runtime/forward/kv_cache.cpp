#include "runtime/forward/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace llamajit {
namespace {

constexpr std::int64_t kPageAlignment = 4096;

std::int64_t head_bytes(const jit::KvLayout& layout) {
  return layout.keys_bytes() + layout.values_bytes();
}

// Those whose keys and values are its own.
int kv_heads(const LayerShape& shape) {
  return shape.owns_kv() ? shape.n_kv_heads : 0;
}

std::int64_t page_bytes_of(const Config& config, jit::ElementType type) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    bytes += head_bytes(jit::KvLayout(type, shape.head_dim())) * kv_heads(shape);
  }
  return std::max(jit::round_up(bytes, kPageAlignment), kPageAlignment);
}

}  // namespace

KvCache::KvCache(const Config& config, int context, int sequences, jit::ElementType type)
    : type_(type), context_(context), states_(config), page_bytes_(page_bytes_of(config, type)) {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    const jit::KvLayout layout(type, shape.head_dim());
    Layer layer{layout,
                shape.is_linear() ? 0 : shape.n_kv_heads,
                kv_heads(shape),
                shape.group(),
                shape.window,
                shape.scores,
                shape.sinks,
                at,
                at + layout.keys_bytes() * shape.n_kv_heads};
    if (shape.kv_layer >= 0) {
      layer.keys_at = layers_[static_cast<std::size_t>(shape.kv_layer)].keys_at;
      layer.values_at = layers_[static_cast<std::size_t>(shape.kv_layer)].values_at;
    }
    layers_.push_back(layer);
    at += head_bytes(layout) * kv_heads(shape);
  }
  const std::int64_t pages = jit::divide_up(context, jit::kKvPage) * sequences;
  memory_ = PagedMemory(static_cast<std::size_t>(pages * page_bytes_), "KV cache");
  holders_.resize(static_cast<std::size_t>(pages));
  for (std::int64_t page = pages - 1; page >= 0; --page) free_.push_back(memory_.data() + page * page_bytes_);
}

std::int64_t KvCache::bytes_read_at(std::int64_t pos) const {
  std::int64_t bytes = 0;
  for (const Layer& layer : layers_) {
    const std::int64_t seen = layer.window > 0 ? std::min<std::int64_t>(layer.window, pos + 1) : pos + 1;
    bytes += seen * layer.n_kv_heads * head_bytes(layer.layout) / jit::kKvPage;
  }
  return bytes;
}

jit::KvAppendKey KvCache::append_key(std::size_t layer) const {
  return {type_, layers_[layer].layout.head_dim};
}

jit::AttentionKey KvCache::attention_key(std::size_t layer) const {
  const Layer& l = layers_[layer];
  return {.type = type_,
          .head_dim = l.layout.head_dim,
          .group = l.group,
          .one_range = context_ <= jit::kAttentionRange,
          .window = l.window,
          .scores = l.scores,
          .sinks = l.sinks};
}

jit::AttentionKey KvCache::tile_key(std::size_t layer, std::int64_t token_stride) const {
  jit::AttentionKey key = attention_key(layer);
  if (key.window > 0) return key;  // such a kernel takes tokens one by one
  key.tokens = jit::AttentionKey::best_tokens(key.group);
  if (key.tokens > 1) key.token_stride = static_cast<int>(token_stride);
  return key;
}

jit::AttentionRangesKey KvCache::ranges_key(std::size_t layer) const {
  const Layer& l = layers_[layer];
  return {type_, l.layout.head_dim, l.group, jit::attention_ranges(context_), l.window, l.scores};
}

jit::AttentionMergeKey KvCache::merge_key(std::size_t layer) const {
  const Layer& l = layers_[layer];
  return {l.layout.head_dim, jit::attention_ranges(context_), l.window, l.sinks};
}

std::byte* KvCache::take_page() {
  assert(!free_.empty());
  std::byte* const page = free_.back();
  free_.pop_back();
  holders_[index(page)] = 1;
  return page;
}

void KvCache::give_page_back(std::byte* page) {
  if (--holders_[index(page)] == 0) free_.push_back(page);
}

void KvCache::copy_page(std::byte* to, const std::byte* from, int positions) const {
  const auto copy = [&](std::int64_t at, std::int64_t bytes) {
    std::memcpy(to + at, from + at, static_cast<std::size_t>(bytes));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const jit::KvLayout& layout = layers_[i].layout;
    for (int head = 0; head < layers_[i].own_heads; ++head) {
      copy(keys_at(i, head), jit::divide_up(positions, jit::kLanes) * layout.key_group_bytes());
      copy(values_at(i, head), std::int64_t{positions} * layout.value_row_bytes());
      for (int block = 0; layout.scaled() && block < layout.blocks(); ++block) {
        copy(values_at(i, head) + layout.value_scale_at(0, block), std::int64_t{positions} * 4);
      }
    }
  }
}

void KvCache::clear_values(std::byte* page, int first, int end) const {
  const auto clear = [&](std::int64_t at, std::int64_t bytes) {
    std::memset(page + at, 0, static_cast<std::size_t>(bytes));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const jit::KvLayout& layout = layers_[i].layout;
    for (int head = 0; head < layers_[i].own_heads; ++head) {
      clear(values_at(i, head) + layout.value_at(first, 0),
            std::int64_t{end - first} * layout.value_row_bytes());
      for (int block = 0; layout.scaled() && block < layout.blocks(); ++block) {
        clear(values_at(i, head) + layout.value_scale_at(first, block), std::int64_t{end - first} * 4);
      }
    }
  }
}

std::int64_t context_bytes(const Config& config, int context, jit::ElementType type) {
  std::int64_t angles = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    angles = std::max<std::int64_t>(angles, std::int64_t{2} * config.layer(i).head_dim() * context);
  }
  const std::int64_t used = page_bytes_of(config, type) / jit::kKvPage * jit::round_up(context, jit::kLanes);
  return used + angles * static_cast<std::int64_t>(sizeof(float)) + LayerStates(config).bytes();
}

}  // namespace llamajit
