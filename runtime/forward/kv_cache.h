// What attention remembers: a pool of pages, each of which holds the keys and values of kKvPage positions of
// all layers, in the layout that the kernels read. Sequences take pages, share them and give them back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/attention.h"
#include "jit/kernels/kv_append.h"
#include "jit/kernels/kv_layout.h"
#include "runtime/base/memory.h"
#include "runtime/forward/layer_states.h"
#include "runtime/model/config.h"

namespace llamajit {

class KvCache {
 public:
  // Room for `sequences` sequences of `context` positions each; zeros, and no memory used before it is.
  // Throws std::runtime_error if it can't be reserved.
  KvCache(const Config& config, int context, int sequences, jit::ElementType type);

  jit::ElementType type() const { return type_; }
  int context() const { return context_; }  // positions of a sequence, at the most
  std::size_t n_layers() const { return layers_.size(); }
  const jit::KvLayout& layout(std::size_t layer) const { return layers_[layer].layout; }
  std::int64_t bytes() const { return static_cast<std::int64_t>(memory_.size()); }
  // Of layers without keys and values.
  const LayerStates& states() const { return states_; }
  // What a position's keys and values take in all layers.
  std::int64_t bytes_per_position() const { return page_bytes_ / jit::kKvPage; }
  // The same of what a token at `pos` reads, itself included: windows end what a layer looks back on.
  std::int64_t bytes_read_at(std::int64_t pos) const;

  // The kernels that write and read it.
  jit::KvAppendKey append_key(std::size_t layer) const;
  jit::AttentionKey attention_key(std::size_t layer) const;
  // The same for as many tokens at once as go well together, their queries `token_stride` floats apart.
  jit::AttentionKey tile_key(std::size_t layer, std::int64_t token_stride) const;
  jit::AttentionRangesKey ranges_key(std::size_t layer) const;
  jit::AttentionMergeKey merge_key(std::size_t layer) const;
  // From a page's first byte on, where a head's keys and values lie; those of the layer's next heads follow.
  std::int64_t keys_at(std::size_t layer, std::int64_t head) const {
    return layers_[layer].keys_at + head * layers_[layer].layout.keys_bytes();
  }
  std::int64_t values_at(std::size_t layer, std::int64_t head) const {
    return layers_[layer].values_at + head * layers_[layer].layout.values_bytes();
  }

  int free_pages() const { return static_cast<int>(free_.size()); }
  int pages() const { return static_cast<int>(holders_.size()); }
  // A page that nobody holds, whose contents mean nothing. There must be one.
  std::byte* take_page();
  void share_page(const std::byte* page) { ++holders_[index(page)]; }
  void give_page_back(std::byte* page);
  bool is_shared(const std::byte* page) const { return holders_[index(page)] > 1; }
  // The first `positions` of a page.
  void copy_page(std::byte* to, const std::byte* from, int positions) const;
  // Makes the values of positions [first, end) of a page zeros: attention reads up to the next multiple of
  // sixteen.
  void clear_values(std::byte* page, int first, int end) const;

 private:
  struct Layer {
    jit::KvLayout layout;
    int n_kv_heads;
    int own_heads;  // of them: none where another layer's are seen
    int group;
    int window;
    jit::ScoreKey scores;
    bool sinks;
    std::int64_t keys_at;
    std::int64_t values_at;
  };
  std::size_t index(const std::byte* page) const {
    return static_cast<std::size_t>((page - memory_.data()) / page_bytes_);
  }

  jit::ElementType type_;
  int context_;
  LayerStates states_;
  std::vector<Layer> layers_;
  std::int64_t page_bytes_ = 0;
  PagedMemory memory_;
  std::vector<int> holders_;      // of each page: how many sequences hold it
  std::vector<std::byte*> free_;  // the last one is taken next
};

// What a cache and a table of angles for one sequence of `context` positions would take. A file's numbers may
// be huge: 64 bits throughout.
std::int64_t context_bytes(const Config& config, int context, jit::ElementType type);

}  // namespace llamajit
