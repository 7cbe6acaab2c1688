#include "runtime/forward/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "runtime/forward/head_deal.h"

namespace llamajit {
namespace {

constexpr std::int64_t kPageAlignment = 4096;

std::int64_t head_bytes(const jit::KvLayout& layout) {
  return layout.keys_bytes() + layout.values_bytes();
}

// Those whose keys and values are its own, and here.
std::int64_t kv_heads(const LayerShape& shape, const Split& split) {
  const auto [begin, end] = own_heads(shape, split);
  return shape.owns_kv() ? end - begin : 0;
}

// The windows of layers that have keys and values, each once.
std::vector<int> windows_of(const Config& config) {
  std::vector<int> windows;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    if (!shape.is_linear() && std::ranges::count(windows, shape.window) == 0) windows.push_back(shape.window);
  }
  if (windows.empty()) windows.push_back(0);
  return windows;
}

std::size_t kind_of(const LayerShape& shape, const std::vector<int>& windows) {
  if (shape.is_linear()) return 0;
  return static_cast<std::size_t>(std::ranges::find(windows, shape.window) - windows.begin());
}

// Whether layers may have their keys and values at the same place, one after the other: an encoder's text goes through
// a layer as a whole. They must have the same layout, so that what is behind the text stays zeros.
bool take_turns(const Config& config) {
  const auto alike = [&](const LayerShape& shape) {
    return shape.head_dim() == config.head_dim() && shape.n_kv_heads == config.n_kv_heads && shape.owns_kv();
  };
  return !config.causal && config.owns_kv() && std::ranges::all_of(config.layers, alike);
}

std::int64_t page_bytes_of(const Config& config, int window, jit::ElementType type, const Split& split) {
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    if (shape.window != window) continue;
    bytes += head_bytes(jit::KvLayout(type, shape.head_dim())) * kv_heads(shape, split);
    if (take_turns(config)) break;
  }
  return std::max(jit::round_up(bytes, kPageAlignment), kPageAlignment);
}

// What a sequence holds of pages of these layers at the most: those that its tokens lie in, or the windows of a
// step's tokens and of those that may be cut.
std::int64_t most_pages(int window, int context, int rows) {
  const std::int64_t all = jit::divide_up(std::int64_t{context}, jit::kKvPage);
  if (window == 0) return all;
  const std::int64_t positions = std::int64_t{window} - 1 + KvCache::kFreeCut - 1 + rows;
  return std::min(all, jit::divide_up(positions - 1, jit::kKvPage) + 1);
}

}  // namespace

KvCache::KvCache(const Config& config, int context, const Room& room, jit::ElementType type, int rows,
                 const Split& split, Journal* journal)
    : type_(type),
      context_(context),
      rows_(rows),
      causal_(config.causal),
      journal_(journal),
      states_(config),
      windows_(windows_of(config)) {
  std::vector<std::int64_t> at(windows_.size());  // of each kind, the bytes of a page that have an owner
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    const LayerShape& shape = config.layer(i);
    const jit::KvLayout layout(type, shape.head_dim());
    const std::size_t kind = kind_of(shape, windows_);
    const auto [first_head, behind_heads] = own_heads(shape, split);
    const std::int64_t heads = behind_heads - first_head;
    Layer layer{layout,
                kind,
                first_head,
                shape.is_linear() ? 0 : heads,
                kv_heads(shape, split),
                shape.group(),
                shape.window,
                shape.scores,
                shape.sinks,
                shape.slopes,
                at[kind],
                at[kind] + layout.keys_bytes() * heads};
    if (shape.kv_layer >= 0) {
      const Layer& owner = layers_[static_cast<std::size_t>(shape.kv_layer)];
      assert(owner.kind == kind);
      layer.keys_at = owner.keys_at;
      layer.values_at = owner.values_at;
    }
    layers_.push_back(layer);
    if (!take_turns(config)) at[kind] += head_bytes(layout) * kv_heads(shape, split);
  }
  for (const int window : windows_) {
    std::int64_t pages = most_pages(window, context, rows) * room.sequences;
    if (window == 0 && room.positions > 0) {
      // One more for each: two sequences that share their last page both ask for a copy of it.
      const std::int64_t together =
          jit::divide_up(room.positions, std::int64_t{jit::kKvPage}) + room.sequences;
      if (together < pages) scarce_pages_ = static_cast<int>(pages = together);
    }
    pools_.emplace_back(page_bytes_of(config, window, type, split), pages);
  }
}

std::int64_t KvCache::bytes_in_use() const {
  std::int64_t bytes = 0;
  for (const PagePool& pool : pools_) bytes += pool.bytes_in_use();
  return bytes;
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
          .sinks = l.sinks,
          .causal = causal_ || (l.window == 0 && !l.slopes),
          .slopes = l.slopes};
}

jit::AttentionKey KvCache::tile_key(std::size_t layer, std::int64_t token_stride) const {
  jit::AttentionKey key = attention_key(layer);
  if (key.window > 0) return key;  // such a kernel takes tokens one by one
  key.tokens = jit::AttentionKey::best_tokens(key.group);
  if (key.tokens == 1) return key;
  key.causal = causal_;
  key.token_stride = static_cast<int>(token_stride);
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

void KvCache::copy_page(std::size_t kind, std::byte* to, const std::byte* from, int positions) const {
  const auto copy = [&](std::int64_t at, std::int64_t bytes) {
    std::memcpy(to + at, from + at, static_cast<std::size_t>(bytes));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].kind != kind) continue;
    const jit::KvLayout& layout = layers_[i].layout;
    const std::int64_t first = layers_[i].first_head;
    for (std::int64_t head = first; head < first + layers_[i].own_heads; ++head) {
      copy(keys_at(i, head), jit::divide_up(positions, jit::kLanes) * layout.key_group_bytes());
      copy(values_at(i, head), std::int64_t{positions} * layout.value_row_bytes());
      for (int block = 0; layout.scaled() && block < layout.blocks(); ++block) {
        copy(values_at(i, head) + layout.value_scale_at(0, block), std::int64_t{positions} * 4);
      }
    }
  }
}

void KvCache::clear_values(std::size_t kind, std::byte* page, int first, int end) const {
  const auto clear = [&](std::int64_t at, std::int64_t bytes) {
    std::memset(page + at, 0, static_cast<std::size_t>(bytes));
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (layers_[i].kind != kind) continue;
    const jit::KvLayout& layout = layers_[i].layout;
    const std::int64_t first_head = layers_[i].first_head;
    for (std::int64_t head = first_head; head < first_head + layers_[i].own_heads; ++head) {
      clear(values_at(i, head) + layout.value_at(first, 0),
            std::int64_t{end - first} * layout.value_row_bytes());
      for (int block = 0; layout.scaled() && block < layout.blocks(); ++block) {
        clear(values_at(i, head) + layout.value_scale_at(first, block), std::int64_t{end - first} * 4);
      }
    }
  }
}

std::int64_t context_bytes(const Config& config, int context, jit::ElementType type, int rows,
                           const Split& split) {
  std::int64_t angles = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(config.n_layers); ++i) {
    angles = std::max<std::int64_t>(angles, std::int64_t{2} * config.layer(i).head_dim() * context);
  }
  std::int64_t used = 0;
  for (const int window : windows_of(config)) {
    const std::int64_t positions = std::min(jit::round_up(std::int64_t{context}, jit::kLanes),
                                            most_pages(window, context, rows) * jit::kKvPage);
    used += page_bytes_of(config, window, type, split) / jit::kKvPage * positions;
  }
  return used + angles * static_cast<std::int64_t>(sizeof(float)) + LayerStates(config).bytes();
}

}  // namespace llamajit
